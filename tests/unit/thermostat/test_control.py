from doubles.rooms import Chance, Room, Weather
from thermostat.control import HeatAlarms, ZoneControl
from thermostat.settings import checked, defaults

FAULT_NONE, FAULT_LOST, FAULT_ABSURD = range(3)
ALARM_WARMING_OFF, ALARM_NOT_WARMING, ALARM_ON_TOO_LONG = 1, 2, 4
STEP_S = 30
HOUR = 3600 // STEP_S
DAY = 24 * HOUR
REASON_FAULT, REASON_CEILING, REASON_FROST, REASON_MINIMUM, REASON_SET_POINT = range(1, 6)


def control_settings(**members):
    limits = {"control_limit_ms": 30000}
    return checked({"version": 1, "control": members, "supervision": limits}).control


def ready(temperature=2000, target=2100, **members):
    """A control that has been off, with a good reading, for longer than any minimum."""
    control = ZoneControl(control_settings(**members))
    control.step(3600000, temperature, True, 500)
    control.step(0, temperature, True, 500)
    assert not control.heat
    control.step(1000, temperature, True, target)
    return control


def test_nothing_is_heated_before_the_first_reading():
    control = ZoneControl(control_settings(minimum_off_s=0))
    assert control.reason == REASON_FAULT
    for _ in range(5):
        assert not control.step(1000, 0, None, 2100)
    assert control.reason == REASON_FAULT and control.fault == FAULT_NONE
    assert control.step(1000, 2000, True, 2100)


def test_minimum_off_counts_from_boot():
    control = ZoneControl(control_settings(minimum_off_s=180))
    for dt_ms in (0, 1000, 178000, 999):
        assert not control.step(dt_ms, 1500, True, 2100)
        assert control.reason == REASON_MINIMUM
    assert control.step(1, 1500, True, 2100)
    assert control.reason == REASON_SET_POINT


def test_hysteresis_on_both_sides_of_the_set_point():
    control = ready(2070, 2100, minimum_on_s=0, minimum_off_s=0)
    assert control.heat  # 20.70 = target - hysteresis
    assert control.step(1000, 2129, True, 2100)
    assert not control.step(1000, 2130, True, 2100)
    assert not control.step(1000, 2071, True, 2100)
    assert control.step(1000, 2070, True, 2100)


def test_minimum_on_holds_against_the_set_point():
    control = ready(minimum_on_s=120)
    for _ in range(119):
        assert control.step(1000, 3000, True, 500)
        assert control.reason == REASON_MINIMUM
    assert not control.step(1000, 3000, True, 500)


def test_ceiling_overrides_minimum_on():
    control = ready(minimum_on_s=3600)
    assert control.step(1000, 5000, True, 4500)
    assert not control.step(1000, 5001, True, 4500)
    assert control.reason == REASON_CEILING


def test_frost_overrides_minimum_off_and_the_set_point():
    control = ZoneControl(control_settings(minimum_off_s=3600))
    assert not control.step(1000, 400, True, 500)
    assert control.step(1000, 399, True, 500)
    assert control.reason == REASON_FROST


def test_a_set_point_out_of_bounds_is_kept_within_them():
    hot = 1 << 40
    control = ready(4469, hot, minimum_on_s=0, minimum_off_s=0)
    assert control.heat
    assert control.step(1000, 4529, True, hot)
    assert not control.step(1000, 4530, True, hot)
    control = ready(531, -hot, minimum_on_s=0, minimum_off_s=0)
    assert not control.heat
    assert control.step(1000, 470, True, -hot)


def test_three_bad_readings_in_a_row_turn_the_heat_off():
    control = ready(minimum_on_s=3600)
    assert control.step(1000, 0, False, 2100)
    assert control.step(1000, 0, False, 2100)
    assert control.step(1000, 2000, True, 2100)
    assert control.step(1000, 0, False, 2100)
    assert control.step(1000, 0, False, 2100)
    assert not control.step(1000, 0, False, 2100)
    assert control.fault == FAULT_LOST and control.reason == REASON_FAULT


def test_absurd_readings_are_bad_ones_and_never_used():
    for absurd in (-4001, 8001, -(1 << 40), 1 << 40):
        control = ready(minimum_on_s=3600)
        for expected in (True, True, False):
            assert control.step(1000, absurd, True, 2100) is expected
            assert control.temperature_centi_c == 2000
        assert control.fault == FAULT_ABSURD


def test_the_ends_of_what_is_plausible_are_readings():
    for temperature in (-4000, 8000):
        control = ZoneControl(control_settings(bad_readings=1))
        control.step(1000, temperature, True, 2100)
        assert control.temperature_centi_c == temperature and control.fault == FAULT_NONE


def test_a_sensor_that_is_bad_from_the_start_has_as_long_as_any():
    control = ZoneControl(control_settings())
    for expected in (FAULT_NONE, FAULT_NONE, FAULT_LOST):
        control.step(0, 0, False, 2100)
        assert control.fault == expected
    control = ZoneControl(control_settings())
    for dt_ms, expected in ((26999, FAULT_NONE), (1, FAULT_LOST)):
        control.step(dt_ms, 0, None, 2100)
        assert control.fault == expected


def test_news_may_be_out_for_all_but_two_late_ticks_of_thirty_seconds():
    control = ready(minimum_on_s=3600)
    assert control.step(26999, 0, None, 2100)
    assert not control.step(1, 0, None, 2100)


def test_the_heat_is_off_before_thirty_seconds_without_news_are_over():
    for tick_ms in (100, 1000, 2000, 4900, 5000):
        control = ready(minimum_on_s=3600, tick_ms=tick_ms)
        # The reading may have been a tick old when it was first seen
        waited = tick_ms
        while control.step(tick_ms, 0, None, 2100):
            waited += tick_ms
        waited += tick_ms
        assert 30000 - 2 * tick_ms - 1000 < waited <= 30000
        assert control.fault == FAULT_LOST


def test_nor_do_ticks_that_come_late_keep_it_on():
    for tick_ms in (100, 1000, 5000):
        for late_ms in range(0, 501, 20):
            control = ready(minimum_on_s=3600, tick_ms=tick_ms)
            waited = each = tick_ms + late_ms
            while control.step(each, 0, None, 2100):
                waited += each
            assert waited + each <= 30000, (tick_ms, late_ms)


def test_bad_readings_that_come_seldom_are_no_news_either():
    control = ready(minimum_on_s=3600, sample_period_ms=9000)
    assert control.step(13000, 0, False, 2100)
    assert control.step(13000, 0, False, 2100)
    assert not control.step(2000, 0, None, 2100)


def test_it_trusts_a_sensor_again_after_two_good_readings():
    control = ready(minimum_off_s=0)
    for _ in range(3):
        control.step(1000, 0, False, 2100)
    assert not control.step(1000, 1500, True, 2100)
    assert control.fault == FAULT_LOST
    assert control.step(1000, 1500, True, 2100)
    assert control.fault == FAULT_NONE and control.temperature_centi_c == 1500
    # and also after silence
    control.step(40000, 0, None, 2100)
    assert control.fault == FAULT_LOST
    assert not control.step(1000, 1500, True, 2100)
    assert not control.step(1000, 0, None, 2100)
    assert control.step(1000, 1500, True, 2100)


def test_a_sensor_fault_starts_the_minimum_off_time():
    control = ready(minimum_on_s=0, minimum_off_s=60)
    for _ in range(3):
        control.step(1000, 0, False, 2100)
    for _ in range(59):
        assert not control.step(1000, 1500, True, 2100)
    assert control.step(1000, 1500, True, 2100)


def test_a_zone_without_a_relay_never_heats_and_never_alarms():
    control = ZoneControl(control_settings(minimum_off_s=0), False)
    for _ in range(10000):
        assert not control.step(60000, 300, True, 2100)
    assert control.fault == FAULT_NONE and control.alarm == 0
    assert control.temperature_centi_c == 300


def test_time_that_runs_backwards_or_stands_still_shortens_nothing():
    control = ready(minimum_on_s=120)
    for dt_ms in (-1, -(1 << 40), 0):
        assert control.step(dt_ms, 3000, True, 500)
    assert control.step(119999, 3000, True, 500)
    assert not control.step(1, 3000, True, 500)


class Trace:
    """An independent account of what the control may do, beside the control itself."""

    def __init__(self, seed):
        chance = self.chance = Chance(seed)
        self.settings = control_settings(
            minimum_on_s=chance.below(200),
            minimum_off_s=chance.below(200),
            hysteresis_c=0.1 + chance.below(10) / 10,
            frost_limit_c=3.0,
            sample_period_ms=1000,
        )
        self.control = ZoneControl(self.settings)
        self.temperature = 300 + chance.below(4800)
        self.target = 2100
        self.heat = False
        self.unchanged_ms = 0
        self.age_ms = 0
        self.bad = 0
        self.good = 0
        self.known = False
        self.broken = 0

    def next_reading(self):
        """(temperature, valid): a walk through all the limits, with sensors that break."""
        chance = self.chance
        self.temperature += chance.below(81) - 40 + (15 if self.heat else -15)
        self.temperature = min(max(self.temperature, 100), 5300)
        if chance.one_in(60):
            self.temperature = 100 + chance.below(5200)
        if self.broken == 0 and chance.one_in(40):
            self.broken = 1 + chance.below(40)
        if self.broken:
            self.broken -= 1
            kind = chance.below(3)
            if kind == 0:
                return 0, False
            if kind == 1:
                return (-9000, 30000, 1 << 35)[chance.below(3)], True
            return 0, None
        return self.temperature, None if chance.one_in(6) else True

    def step(self):
        chance = self.chance
        if chance.one_in(50):
            self.target = chance.below(7000) - 1000
        dt_ms = (0, 100, 1000, 1000, 1000, 5000, 29000)[chance.below(7)]
        temperature, valid = self.next_reading()
        plausible = valid is True and -4000 <= temperature <= 8000
        self.unchanged_ms += dt_ms
        self.age_ms += dt_ms
        if plausible:
            self.good, self.bad = self.good + 1, 0
            if self.control.fault == FAULT_NONE or self.good >= 2:
                self.age_ms, self.known, self.last = 0, True, temperature
        elif valid is not None:
            self.good, self.bad = 0, self.bad + 1
        if self.age_ms >= 27000 and self.control.fault == FAULT_NONE:
            self.good = 0
        heat = self.control.step(dt_ms, temperature, valid, self.target)
        self.check(heat)
        if heat != self.heat:
            self.heat = heat
            self.unchanged_ms = 0

    def check(self, heat):
        control, settings = self.control, self.settings
        fault = self.age_ms >= 27000 or self.bad >= 3  # two late ticks before 30 s
        assert not fault or control.fault != FAULT_NONE
        if self.good >= 2 and not fault:
            assert control.fault == FAULT_NONE
        assert heat is control.heat
        if control.fault != FAULT_NONE or not self.known:
            assert not heat, "1"
            return
        assert control.temperature_centi_c == self.last
        ceiling = self.last > settings.ceiling_centi_c
        frost = self.last < settings.frost_limit_centi_c
        assert not (ceiling and heat), "2"
        assert heat or not frost, "3"
        off_long_enough = self.unchanged_ms >= settings.minimum_off_s * 1000
        on_long_enough = self.unchanged_ms >= settings.minimum_on_s * 1000
        if heat and not self.heat:
            assert frost or off_long_enough, "4"
        if self.heat and not heat:
            assert ceiling or on_long_enough, "5"
        if not ceiling and not frost and (on_long_enough if self.heat else off_long_enough):
            target = min(max(self.target, 500), 4500)
            if self.last >= target + settings.hysteresis_centi_c:
                assert not heat, "6"
            elif self.last <= target - settings.hysteresis_centi_c:
                assert heat, "6"
            else:
                assert heat is self.heat, "6"


def test_random_traces_keep_the_six_invariants():
    """1 no heat with a sensor fault, or before the first reading
    2 no heat above the ceiling
    3 heat below the frost limit while the sensor is good
    4 never on before the minimum off time, but for frost
    5 never off before the minimum on time, but for a fault or the ceiling
    6 past the minimum time: off from target + hysteresis, on down from target - hysteresis,
      between as it was; the target kept within its bounds
    """
    switched = 0
    decided = [0] * 6
    for seed in range(100):
        trace = Trace(seed)
        before = False
        for _ in range(500):
            trace.step()
            switched += trace.heat != before
            before = trace.heat
            decided[trace.control.reason] += 1
    # The traces went where the rules are
    assert switched > 1000
    assert min(decided[1:]) > 250, decided


class Checked:
    """An int whose arithmetic raises beyond 30 bits: what a board would put on its heap."""

    def __init__(self, value):
        self.value = value

    def _made(self, value):
        if not -(1 << 30) <= value < 1 << 30:
            raise OverflowError("%d does not fit 30 bits" % value)
        return Checked(value)

    def __add__(self, other):
        return self._made(self.value + plain(other))

    __radd__ = __add__

    def __sub__(self, other):
        return self._made(self.value - plain(other))

    def __rsub__(self, other):
        return self._made(plain(other) - self.value)

    def __mul__(self, other):
        return self._made(self.value * plain(other))

    __rmul__ = __mul__

    def __floordiv__(self, other):
        return self._made(self.value // plain(other))

    def __neg__(self):
        return self._made(-self.value)

    def __lt__(self, other):
        return self.value < plain(other)

    def __le__(self, other):
        return self.value <= plain(other)

    def __gt__(self, other):
        return self.value > plain(other)

    def __ge__(self, other):
        return self.value >= plain(other)

    def __eq__(self, other):
        return self.value == plain(other)

    def __hash__(self):
        return hash(self.value)


def plain(value):
    return value.value if isinstance(value, Checked) else value


def test_the_checked_int_does_catch():
    for compute in (
        lambda: Checked((1 << 30) - 1) + 1,
        lambda: 1 + Checked((1 << 30) - 1),
        lambda: -2 - Checked((1 << 30) - 1),
        lambda: Checked(1 << 29) * 2,
    ):
        try:
            compute()
        except OverflowError:
            continue
        raise AssertionError("not caught")


def test_all_values_fit_thirty_bits():
    extremes = (
        -(1 << 62),
        -(1 << 30),
        -4000,
        -1,
        0,
        399,
        2070,
        2130,
        5001,
        8000,
        1 << 30,
        1 << 62,
    )
    times = (
        0,
        1,
        1000,
        59999,
        60000,
        1 << 28,
        (1 << 30) - 1,
        30 * 86400 * 1000,
        1 << 62,
        -(1 << 62),
    )
    widest = {
        "minimum_on_s": 3600,
        "minimum_off_s": 3600,
        "no_warming_window_s": 86400,
        "on_too_long_s": 259200,
        "plausible_highest_c": 125.0,
        "plausible_lowest_c": -55.0,
    }
    for settings in (control_settings(), control_settings(**widest)):
        for dt_ms in times:
            control = ZoneControl(settings)
            for temperature in extremes:
                for target in extremes:
                    for valid in (True, False, None):
                        control.step(Checked(dt_ms), Checked(temperature), valid, Checked(target))
        # More readings in one minute than any board takes, as hot as can be
        alarms = HeatAlarms(settings)
        for _ in range(90000):
            alarms.step(0, Checked(12500), False)
        # A month by short steps, in the middle of everything and at the hot end
        for temperature in (2100, 8000, -4000):
            control = ZoneControl(settings)
            for _ in range(9000):
                control.step(Checked(1), Checked(temperature), True, Checked(2100))
            for _ in range(2600):
                control.step(Checked(1000000), Checked(temperature), True, Checked(2100))


# Alarms


class Home:
    """A room, its weather, its sensor that jitters, and the control. `wrong` bends the relay."""

    def __init__(self, room, mean_c, day_c, target_centi_c=2100, setback_centi_c=None, seed=1):
        self.control = ZoneControl(defaults().control)
        self.chance = Chance(seed)
        self.weather = Weather(mean_c, day_c, self.chance)
        self.room = room
        self.target = target_centi_c
        self.setback = setback_centi_c or target_centi_c
        self.outside_c = mean_c
        self.second = 0
        self.alarms = 0

    def live(self, steps, wrong=None):
        """The alarms that rang within `steps`, or'ed."""
        control, room = self.control, self.room
        self.alarms = 0
        for _ in range(steps):
            self.second += STEP_S
            if self.second % 600 == 0:
                self.outside_c = self.weather.at(self.second)
            hour = self.second // 3600 % 24
            target = self.target if 6 <= hour < 22 else self.setback
            reading = int(room.temperature_c * 100) + self.chance.below(31) - 15
            heat = control.step(STEP_S * 1000, reading, True, target)
            self.alarms |= control.alarm
            room.advance(STEP_S, self.outside_c, heat if wrong is None else wrong)
        return self.alarms


def test_healthy_homes_raise_no_alarm_in_a_month_of_weather():
    for name, home in (
        ("light, winter", Home(Room(2, 45), -4, 5, 2100, 1700, 1)),
        ("light, demonstration", Home(Room(3, 25), 5, 4, 2100, None, 2)),
        ("middling, spring", Home(Room(6, 30), 10, 7, 2050, 1800, 3)),
        ("heavy, winter", Home(Room(40, 40), -2, 4, 2000, 1800, 4)),
        ("light, summer", Home(Room(2, 25), 22, 7, 1900, 1700, 5)),
    ):
        # The first hours warm a cold house up, which takes a heavy one most of a day
        home.live(2 * DAY)
        assert home.live(28 * DAY) == 0, (name, home.alarms)


def test_a_relay_that_sticks_is_told_and_told_until_the_room_is_itself_again():
    for home in (Home(Room(2, 40), 2, 5), Home(Room(3, 45), 6, 4), Home(Room(2, 30), 12, 4)):
        home.live(3 * DAY)
        assert home.control.alarm == 0
        home.live(4 * HOUR, wrong=True)
        assert home.control.alarm & ALARM_WARMING_OFF
        home.live(DAY, wrong=True)
        assert home.control.alarm & ALARM_WARMING_OFF
        home.live(3 * DAY)
        assert home.control.alarm == 0


def test_a_dead_heater_is_told_until_it_warms():
    for home in (Home(Room(2, 40), 2, 5), Home(Room(40, 40), 0, 4), Home(Room(6, 30), 10, 6)):
        home.live(3 * DAY)
        assert home.control.alarm & ALARM_NOT_WARMING == 0
        home.live(12 * HOUR, wrong=False)
        assert home.alarms & ALARM_NOT_WARMING
        home.live(3 * DAY)
        assert home.control.alarm & ALARM_NOT_WARMING == 0


def test_a_heater_too_small_heats_too_long():
    home = Home(Room(3, 15), 0, 3)
    home.live(2 * DAY)
    assert home.control.alarm & ALARM_ON_TOO_LONG
    home.room = Room(3, 45)
    home.live(DAY)
    assert home.control.alarm == 0


def minutes(alarms, readings, heat, trusted=True):
    for reading in readings:
        alarm = alarms.step(60000, reading if trusted else None, heat)
    return alarm


def test_the_windows_are_those_of_the_settings():
    settings = defaults().control
    flat = [2000]
    assert minutes(HeatAlarms(settings), flat * 120, True) == 0
    assert minutes(HeatAlarms(settings), flat * 121, True) == ALARM_NOT_WARMING
    assert minutes(HeatAlarms(settings), range(2000, 2719), True) == 0
    assert minutes(HeatAlarms(settings), range(2000, 2720), True) == ALARM_ON_TOO_LONG
    # 1.5 °C in half an hour, after half an hour of settling
    rising = [2000] * 30 + [2000 + 6 * minute for minute in range(60)]
    assert minutes(HeatAlarms(settings), rising, False) == ALARM_WARMING_OFF
    rising = [2000] * 30 + [2000 + 4 * minute for minute in range(600)]
    assert minutes(HeatAlarms(settings), rising, False) == 0
    assert minutes(HeatAlarms(settings), [2000 + 20 * minute for minute in range(29)], False) == 0


def off_alarms(**members):
    return HeatAlarms(control_settings(warming_rise_c=1.5, **members))


def test_a_mean_is_of_a_whole_minute_in_whole_numbers():
    alarms = off_alarms(warming_settle_s=60)
    for dt_ms, reading, expected in (
        (59999, 2000, 0),
        (1, 2999, 0),  # the mark: 24.99
        (60000, 2648, 0),
        (60000, 2649, ALARM_WARMING_OFF),
    ):
        assert alarms.step(Checked(dt_ms), Checked(reading), False) == expected


def test_a_mean_takes_its_first_4096_readings():
    alarms = off_alarms(warming_settle_s=60)
    for _ in range(4096):
        alarms.step(0, 2000, False)
    assert minutes(alarms, [1 << 20, 2150], False) == ALARM_WARMING_OFF


def test_a_rise_counts_once_settled_and_within_its_window():
    for settle_s, expected in ((60, ALARM_WARMING_OFF), (61, 0)):
        alarms = off_alarms(warming_settle_s=settle_s)
        assert minutes(alarms, [2000, 2150], False) == expected
    for window_s, expected in ((300, 0), (301, ALARM_WARMING_OFF)):
        alarms = off_alarms(warming_settle_s=60, warming_window_s=window_s)
        assert minutes(alarms, [2000] * 5 + [2149, 2150], False) == expected


def test_each_step_of_warming_starts_the_watch_anew():
    alarms = HeatAlarms(defaults().control)
    assert minutes(alarms, [2000] * 121, True) == ALARM_NOT_WARMING
    assert minutes(alarms, [2029], True) == ALARM_NOT_WARMING
    assert minutes(alarms, [2030] * 120, True) == 0
    assert minutes(alarms, [2030], True) == ALARM_NOT_WARMING


def test_alarms_ring_and_clear_side_by_side():
    alarms = HeatAlarms(defaults().control)
    assert minutes(alarms, [2000] * 720, True) == ALARM_NOT_WARMING | ALARM_ON_TOO_LONG
    assert minutes(alarms, [0], True, trusted=False) == ALARM_NOT_WARMING | ALARM_ON_TOO_LONG
    assert minutes(alarms, [2000] * 31, False) == ALARM_NOT_WARMING
    assert minutes(alarms, [2160], False) == ALARM_NOT_WARMING | ALARM_WARMING_OFF
    assert minutes(alarms, [2160], True) == ALARM_NOT_WARMING
    assert minutes(alarms, [2190], True) == 0


def test_a_zone_tells_its_alarms():
    control = ready(2000, 2100)
    for _ in range(121):
        assert control.step(60000, 2000, True, 2100)
    assert control.alarm == ALARM_NOT_WARMING
    control = ready(2000, 500)
    for _ in range(31):
        control.step(60000, 2000, True, 500)
    # What a broken sensor read last is no mean
    control.step(60000, 0, None, 500)
    for _ in range(3):
        control.step(60000, 2160, True, 500)
    assert control.fault == FAULT_NONE and control.alarm == 0
    control.step(60000, 2310, True, 500)
    assert control.alarm == ALARM_WARMING_OFF


def test_jitter_is_not_progress():
    settings = defaults().control
    chance = Chance(7)
    alarms = HeatAlarms(settings)
    for _ in range(3 * 3600):
        alarm = alarms.step(1000, 2000 + chance.below(101) - 50, True)
    assert alarm == ALARM_NOT_WARMING


def test_a_lost_sensor_makes_no_alarm_and_its_return_watches_anew():
    settings = defaults().control
    alarms = HeatAlarms(settings)
    assert minutes(alarms, [2000] * 40, False) == 0
    assert minutes(alarms, [2000] * 600, False, False) == 0
    assert minutes(alarms, [2600] * 40, False) == 0


def test_alarms_clear_as_promised():
    settings = defaults().control
    alarms = HeatAlarms(settings)
    hot = [2000] * 31 + [2160] * 5
    assert minutes(alarms, hot, False) == ALARM_WARMING_OFF
    assert minutes(alarms, [2001] * 5, False) == ALARM_WARMING_OFF
    assert minutes(alarms, [2000] * 5, False) == 0
    alarms = HeatAlarms(settings)
    assert minutes(alarms, hot, False) == ALARM_WARMING_OFF
    assert minutes(alarms, [2160], True) == 0
