"""The u-name of `socket` that umqtt.simple 1.3.4 imports."""

from socket import *
