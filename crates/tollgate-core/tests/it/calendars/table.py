"""Writes table.txt: windows of calendars by Python's zoneinfo and datetime, for calendars.rs to compare with.

A day is found by looking at the local date of every quarter of an hour: it begins at the first instant that has its date or
a later one.

    python3 table.py > table.txt
"""

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

# Zone, first day of the week (1 is Monday), first month of the year, around which instants.
CALENDARS = [
    ("UTC", 1, 1, ["2024-02-29T12:00", "2025-01-01T00:00", "1969-12-31T23:45"]),
    ("Europe/Berlin", 1, 1, ["2025-03-30T00:30", "2025-10-26T00:30", "2024-12-31T23:00", "1980-04-06T01:00"]),
    ("America/New_York", 7, 10, ["2025-03-09T07:00", "2025-11-02T05:30", "2025-11-02T06:30", "2024-10-01T04:00"]),
    # Clocks go forward at midnight: there is no 00:00.
    ("America/Sao_Paulo", 7, 4, ["2018-11-04T03:00", "2018-11-04T02:45", "2018-02-18T02:30"]),
    ("Asia/Beirut", 1, 7, ["2021-03-28T22:15", "2021-10-30T21:30", "2021-10-31T12:00"]),
    # Clocks go back over midnight: 23:00 to 24:00 comes twice.
    ("America/Havana", 1, 1, ["2018-11-04T04:30", "2018-11-04T05:30", "2018-03-11T05:15"]),
    ("America/Goose_Bay", 3, 1, ["2009-11-01T02:00", "2009-11-01T03:00", "2009-11-01T03:30", "2009-11-01T04:30"]),
    # Days with other offsets than whole hours.
    ("Asia/Kolkata", 7, 4, ["2025-03-31T18:30", "2025-03-31T18:15"]),
    ("Australia/Lord_Howe", 1, 7, ["2025-04-05T14:30", "2025-04-05T15:00", "2025-10-04T15:30"]),
    # There was no 30 December 2011.
    ("Pacific/Apia", 1, 1, ["2011-12-30T09:45", "2011-12-30T10:00", "2011-12-31T11:00"]),
    # 23:30 to 00:30 was skipped in 1919.
    ("America/Toronto", 1, 1, ["1919-03-31T04:15", "1919-03-31T04:30", "1919-03-31T05:00"]),
]
LENGTHS = ["1d", "3d", "1w", "2w", "1M", "2M", "3M", "1Q", "5M", "6M", "1Y", "3Y"]
STEP = timedelta(minutes=15)
EPOCH = date(1970, 1, 1)


def local(zone, at):
    return at.astimezone(zone).date()


def start(zone, day):
    """The first instant whose local date is `day` or later, of those from two days before."""
    at = datetime(day.year, day.month, day.day, tzinfo=timezone.utc) - timedelta(days=2)
    while local(zone, at) < day:
        at += STEP
    return at


def day_of(zone, at):
    """The day that `at` lies in: the last that has begun."""
    day = local(zone, at) + timedelta(days=2)
    while start(zone, day) > at:
        day -= timedelta(days=1)
    return day


def month_number(day):
    return (day.year - 1970) * 12 + day.month - 1


def first_of(month):
    return date(1970 + month // 12, month % 12 + 1, 1)


def window(zone, first_day, first_month, length, at):
    count, unit, day = int(length[:-1]), length[-1], day_of(zone, at)
    if unit in "dw":
        origin, size = EPOCH, count
        if unit == "w":
            size = 7 * count
            while origin.isoweekday() != first_day:
                origin -= timedelta(days=1)
        first = origin + timedelta(days=(day - origin).days // size * size)
        return start(zone, first), start(zone, first + timedelta(days=size))
    size = count * {"M": 1, "Q": 3, "Y": 12}[unit]
    origin = first_month - 1 if size % 3 == 0 else 0
    first = (month_number(day) - origin) // size * size + origin
    return start(zone, first_of(first)), start(zone, first_of(first + size))


for name, first_day, first_month, instants in CALENDARS:
    zone = ZoneInfo(name)
    for text in instants:
        at = datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
        for length in LENGTHS:
            begins, ends = window(zone, first_day, first_month, length, at)
            assert begins <= at < ends, (name, length, at, begins, ends)
            times = [moment.strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (at, begins, ends)]
            print(name, first_day, first_month, length, *times)
