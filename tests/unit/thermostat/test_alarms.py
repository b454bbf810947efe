from doubles.rooms import Chance, Room, Weather
from thermostat.alarms import HeatAlarms
from thermostat.control import ZoneControl
from thermostat.settings import Settings

ALARM_WARMING_OFF, ALARM_NOT_WARMING, ALARM_ON_TOO_LONG = 1, 2, 4
STEP_S = 30
HOUR = 3600 // STEP_S
DAY = 24 * HOUR


class Home:
    """A room, its weather, its sensor that jitters, and the control. `wrong` bends the relay."""

    def __init__(self, room, mean_c, day_c, target_centi_c=2100, setback_centi_c=None, seed=1):
        self.control = ZoneControl(Settings().control)
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
        alarm = alarms.step(60000, reading, trusted, heat)
    return alarm


def test_the_windows_are_those_of_the_settings():
    settings = Settings().control
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


def test_jitter_is_not_progress():
    settings = Settings().control
    chance = Chance(7)
    alarms = HeatAlarms(settings)
    for _ in range(3 * 3600):
        alarm = alarms.step(1000, 2000 + chance.below(101) - 50, True, True)
    assert alarm == ALARM_NOT_WARMING


def test_a_lost_sensor_makes_no_alarm_and_its_return_watches_anew():
    settings = Settings().control
    alarms = HeatAlarms(settings)
    assert minutes(alarms, [2000] * 40, False) == 0
    assert minutes(alarms, [2000] * 600, False, False) == 0
    assert minutes(alarms, [2600] * 40, False) == 0


def test_alarms_clear_as_promised():
    settings = Settings().control
    alarms = HeatAlarms(settings)
    hot = [2000] * 31 + [2160] * 5
    assert minutes(alarms, hot, False) == ALARM_WARMING_OFF
    assert minutes(alarms, [2001] * 5, False) == ALARM_WARMING_OFF
    assert minutes(alarms, [2000] * 5, False) == 0
    alarms = HeatAlarms(settings)
    assert minutes(alarms, hot, False) == ALARM_WARMING_OFF
    assert minutes(alarms, [2160], True) == 0
