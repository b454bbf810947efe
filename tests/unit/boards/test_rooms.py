import board
from doubles.ticks import Ticks
from expect import raises
from simulated.heater import HeaterPin
from simulated.house import House
from simulated.outside import WITHOUT_RECORD_C, Outside
from simulated.room import Room, saturation_pressure_pa

_FOLDER = board._make_folder("build/tests")
_HOUR_S = 3600


def _room(temperature_c=20.0):
    return Room(720000, 50, 1250, temperature_c)  # 4 h, 25 K


def test_the_room_cools_by_its_time_constant():
    room = _room(20.0)
    room.advance(4 * _HOUR_S, 0.0, 0)
    assert abs(room.temperature_c - 20 / 2.718281828) < 1e-6


def test_one_long_step_equals_many_short_ones():
    long, short = _room(), _room()
    long.advance(7200, 4.0, 1)
    for _ in range(720):
        short.advance(10, 4.0, 1)
    assert abs(long.temperature_c - short.temperature_c) < 1e-9


def test_the_heater_holds_twenty_degrees_above_the_outside():
    room = _room(0.0)
    room.advance(48 * _HOUR_S, 0.0, 0.8)
    assert abs(room.temperature_c - 20) < 0.01
    assert room.heater_lift_k == 25


def test_warm_air_reads_drier():
    assert abs(saturation_pressure_pa(20) - 2339) < 10
    cold, warm = _room(15.0), _room(25.0)
    assert cold.humidity_percent() > warm.humidity_percent() + 15
    assert _room(-20.0).humidity_percent() == 97


def _record(name, fahrenheit):
    path = "%s/%s.csv" % (_FOLDER, name)
    with open(path, "w") as file:
        file.write("date,temp\n")
        file.write("\n".join("2010/01/01 %02d:00,%s" % pair for pair in enumerate(fahrenheit)))
    return path


def test_the_outside_runs_straight_from_hour_to_hour():
    outside = Outside(_record("straight", (32, 50, 41)))
    assert outside.temperature_c(0) == 0
    assert abs(outside.temperature_c(_HOUR_S // 2) - 5) < 1e-9
    assert outside.temperature_c(_HOUR_S) == 10
    assert abs(outside.temperature_c(1.5 * _HOUR_S) - 7.5) < 1e-9


def test_the_record_starts_again_at_its_end():
    outside = Outside(_record("wrap", (32, 50, 41)))
    assert [outside.temperature_c(hour * _HOUR_S) for hour in range(7)] == [0, 10, 5, 0, 10, 5, 0]


def test_the_outside_begins_at_the_chosen_row():
    outside = Outside(_record("row", (32, 50, 41)), 1)
    assert outside.temperature_c(0) == 10
    assert outside.temperature_c(_HOUR_S) == 5
    assert outside.temperature_c(0) == 10


def test_no_record_a_missing_one_and_a_wrong_one():
    assert Outside(None).temperature_c(123456) == WITHOUT_RECORD_C
    with raises(OSError):
        Outside(_FOLDER + "/is-not-there.csv")
    with raises(ValueError):
        Outside(_record("wrong", ("cold", "warm")))
    with raises(ValueError, "no row 9"):
        Outside(_record("short", (32, 50)), 9)


def test_the_pin_adds_up_its_high_time():
    clock = Ticks()
    pin = HeaterPin(clock)
    assert pin.value() == 0
    clock.advance(100)
    pin.value(1)
    clock.advance(30)
    pin.value(1)
    clock.advance(30)
    pin.value(0)
    clock.advance(500)
    assert pin.take_high_ms() == 60
    pin.value(5)
    assert pin.value() == 1
    clock.advance(7)
    assert pin.take_high_ms() == 7
    assert pin.take_high_ms() == 0


class _Wall:
    def __init__(self):
        self.ms = 1000000

    def __call__(self):
        return self.ms


def _house(name, clock, wall, speed=1, fresh=True):
    path = "%s/%s.json" % (_FOLDER, name)
    if fresh:
        with open(path, "w") as file:
            file.write("{")
    rooms = [(_room(20.0), HeaterPin(clock)), (_room(10.0), HeaterPin(clock))]
    return House(rooms, Outside(None), clock, wall, speed, path), rooms


def test_the_house_lives_when_somebody_looks():
    clock = Ticks()
    house, rooms = _house("lives", clock, _Wall(), speed=60)
    air = house.air(0)
    rooms[0][1].value(1)
    clock.advance(120000)  # two hours in the rooms
    warmed = _room(20.0)
    warmed.advance(7200, WITHOUT_RECORD_C, 1)
    assert abs(air.temperature_c() - warmed.temperature_c) < 1e-6
    cooled = _room(10.0)
    cooled.advance(7200, WITHOUT_RECORD_C, 0)
    assert abs(house.air(1).temperature_c() - cooled.temperature_c) < 1e-6
    assert air.temperature_c() == air.temperature_c()


def test_a_heater_that_was_on_for_a_part_heats_for_a_part():
    clock = Ticks()
    house, rooms = _house("part", clock, _Wall())
    rooms[0][1].value(1)
    clock.advance(1000)
    rooms[0][1].value(0)
    clock.advance(3000)
    expected = _room(20.0)
    expected.advance(4, WITHOUT_RECORD_C, 0.25)
    assert abs(house.air(0).temperature_c() - expected.temperature_c) < 1e-9


def test_the_room_does_not_care_about_a_reset():
    clock, wall = Ticks(), _Wall()
    house, rooms = _house("reset", clock, wall, speed=10)
    rooms[0][1].value(1)
    clock.advance(60000)
    before = house.air(0).temperature_c()
    house.save()
    wall.ms += 2000
    again, _ = _house("reset", Ticks(), wall, speed=10, fresh=False)
    expected = _room(before)
    expected.advance(20, WITHOUT_RECORD_C, 0)
    assert abs(again.air(0).temperature_c() - expected.temperature_c) < 1e-6


def test_a_wall_clock_that_went_back_does_no_harm():
    clock, wall = Ticks(), _Wall()
    house, _ = _house("back", clock, wall)
    house.save()
    wall.ms = 5
    again, _ = _house("back", clock, wall, fresh=False)
    assert abs(again.air(0).temperature_c() - 20) < 0.01


def test_the_screen_is_written_at_most_twice_a_second():
    clock, wall = Ticks(), _Wall()
    house, _ = _house("screen", clock, wall)
    written = []
    save = house.save
    house.save = lambda: (written.append(clock.now_ms), save())
    for _ in range(100):
        clock.advance(50)
        house.air(0).temperature_c()
    assert len(written) == 10


def test_a_full_disk_does_not_reach_the_chips():
    clock, wall = Ticks(), _Wall()
    house, _ = _house("full", clock, wall)
    house._path = _FOLDER + "/no/such/folder.json"
    clock.advance(1000)
    assert house.air(0).temperature_c() < 20
