"""The fault table: what is done to the device, and what it promises then.

A row without a test is on the page all the same, as not shown.
"""

from typing import NamedTuple


class Row(NamedTuple):
    fault: str
    promise: str


ROWS = {
    "F01": Row("broker killed at any byte", "unacknowledged messages come again, marked as such"),
    "F02": Row("peer silent, connection half open", "noticed within 1.5 times the keep-alive"),
    "F03": Row("peer sends a byte now and then", "a packet has a deadline, control goes on"),
    "F04": Row("certificate that proves nothing", "refused before any MQTT byte"),
    "F05": Row("token at its end", "renewed in time, nothing lost"),
    "F06": Row("Wi-Fi comes and goes", "joined again without a restart"),
    "F07": Row("names that do not resolve, or change", "asked anew, last good address kept"),
    "F08": Row("time server wrong, hostile or silent", "no date outside the window is taken"),
    "F09": Row("wall clock jumps", "no token lives too long, no duration is wrong"),
    "F10": Row("ticks wrap", "no timer early or late, nothing stuck"),
    "F11": Row("packet ids wrap", "no id is 0 or used twice at a time"),
    "F12": Row("commands and patches repeated", "one effect each, all answered"),
    "F13": Row("days of outages", "nothing lost that fits, the rest counted exactly"),
    "F14": Row("JSON that is damaged or absurd", "a protocol error, state as before"),
    "F15": Row("lengths beyond every limit", "drained or closed, never allocated"),
    "F16": Row("hostile topics", "never taken for another, nothing unsafe echoed"),
    "F17": Row("MQTT that is garbage", "a link or protocol error, never a hang"),
    "F18": Row("sensor lost, absurd or damaged", "heat off within 30 s, bad values never used"),
    "F19": Row("any of these while heating", "the order of the rules holds at every step"),
    "F20": Row("flash full", "the old content stays, everything goes on"),
    "F21": Row("power cut at any write", "old or new, never mixed or lost"),
    "F22": Row("bit rot in the configuration", "found, the copy before it is used"),
    "F23": Row("heap exhausted", "one message is lost and counted, no task dies"),
    "F24": Row("a task raises or hangs", "restarted, or the watchdog bites; relay off meanwhile"),
    "F25": Row("crash at every start", "safe mode after five, relays off"),
    "F26": Row("update forged, cut or old", "refused or rolled back"),
    "F27": Row("provisioning refused or slow", "bounded, and the reason told"),
    "F28": Row("a hub that is away for many", "retries spread evenly, capped"),
    "F29": Row("flood of commands", "all answered or counted, queue bounded"),
    "F30": Row("cable pulled while flashing", "the next run ends well"),
}
