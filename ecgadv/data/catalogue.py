"""What each PhysioNet database consists of, where it lies and under which licence."""

import re
from dataclasses import dataclass

from ecgadv.data.mitbih import RECORDS
from ecgadv.errors import EcgadvError


@dataclass(frozen=True)
class Source:
    """One database on PhysioNet, or on a mirror with the same layout.

    The files wanted are `files`, those that match `pattern`, and those that match `member` in each
    of `groups`.
    """

    name: str
    title: str
    path: str  # below PhysioNet's files/, and below the folder of recordings
    licence: str
    citation: str
    records: int  # in the whole database
    files: tuple[str, ...] = ()  # relative to path
    groups: tuple[str, ...] = ()  # folders with a RECORDS of their own, relative to path
    member: str = ""  # regular expression of the names in a group
    pattern: str = ""  # regular expression of further files wanted, relative to path
    connections: int = 4  # at once: PhysioNet is slow a file, and is not to be crowded

    def lists(self, name):
        """True if `name`, relative to path, is one of the files wanted."""
        folder, _, base = name.rpartition("/")
        in_group = folder in self.groups and re.fullmatch(self.member, base)
        of_pattern = self.pattern and re.fullmatch(self.pattern, name)
        return name in self.files or bool(in_group) or bool(of_pattern)

    @property
    def counted(self):
        """True if how many records a copy holds is told by its files alone."""
        return bool(self.groups or self.pattern)


SOURCES = {
    source.name: source
    for source in (
        Source(
            name="mitdb",
            title="MIT-BIH Arrhythmia Database 1.0.0",
            path="mitdb/1.0.0",
            licence="ODC-BY 1.0",
            citation="Moody & Mark, IEEE Eng. Med. Biol. 20(3), 2001",
            records=len(RECORDS),
            files=(
                "RECORDS",
                *(f"{name}.{kind}" for name in RECORDS for kind in ("hea", "dat", "atr")),
            ),
        ),
        Source(
            name="challenge-2017",
            title="PhysioNet/CinC Challenge 2017 (AF classification) 1.0.0",
            path="challenge-2017/1.0.0",
            licence="ODC-BY 1.0",
            citation="Clifford et al., CinC 2017, doi:10.22489/CinC.2017.065-469",
            records=8528,
            # Three versions of the labels circulate: v3 is the one to use.
            files=(
                "training2017.zip",
                "REFERENCE-v0.csv",
                "REFERENCE-v2.csv",
                "REFERENCE-v3.csv",
            ),
        ),
        Source(
            name="cpsc2018",
            title="CPSC 2018, as in the PhysioNet/CinC Challenge 2020 1.0.2",
            path="challenge-2020/1.0.2",
            licence="CC BY 4.0",
            citation="Liu et al., J. Med. Imaging Health Inform. 8(7), 2018",
            records=6877,
            groups=tuple(f"training/cpsc_2018/g{number}" for number in range(1, 8)),
            member=r"RECORDS|A\d{4}\.(hea|mat)",
            connections=8,
        ),
        *(
            Source(
                name=name,
                title=f"PTB-XL 1.0.3 at {rate} Hz",
                path="ptb-xl/1.0.3",
                licence="CC BY 4.0",
                citation="Wagner et al., Scientific Data 7:154, 2020, doi:10.13026/kfzx-aw45",
                records=21_799,
                files=("RECORDS", "ptbxl_database.csv", "scp_statements.csv"),
                pattern=rf"records{rate}/\d{{5}}/\d{{5}}_{suffix}\.(hea|dat)",
                connections=8,
            )
            for name, rate, suffix in (("ptb-xl", 100, "lr"), ("ptb-xl-500", 500, "hr"))
        ),
    )
}


def source(name):
    """The Source of a database by name.

    Raises:
        EcgadvError: PhysioNet has no such database that this project uses.
    """
    if name not in SOURCES:
        raise EcgadvError(f"no PhysioNet dataset '{name}': use one of {', '.join(SOURCES)}")
    return SOURCES[name]
