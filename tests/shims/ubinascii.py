"""The u-name of `binascii` that umqtt.simple 1.3.4 imports."""

from binascii import *
