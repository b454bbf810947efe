"""The u-name of `struct` that umqtt.simple 1.3.4 imports."""

from struct import *
