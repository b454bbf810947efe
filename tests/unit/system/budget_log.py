import gc

from system import log as logging
from system.log import Log


def test_a_record_below_its_level_costs_no_heap():
    logging.level = 30
    log = Log("budget")
    values = ("some text", 12)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for number in range(1000):
        log.debug("plain")
        log.info("%d", number)
        log.info("%s %d %d", values, number, 3)
    used = gc.mem_alloc() - before
    gc.enable()
    logging.level = 20
    # The range object and the loop's own small ints are all there is
    assert used <= 64, used
