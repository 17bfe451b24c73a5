"""Command ``scripts/extract_pai_videos_from_index.py``: the videos of a keyframe index, out of camera chunk zips.

The archives are gone through once for what they hold, then those with wanted clips once for the videos. A member is
looked up by its name and written under a name made here, never under a path of the archive's choosing.
"""

import argparse
import logging
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batch_runs.outcomes import ALREADY_DONE, DONE, FAILED, Tally, write_summary
from batch_runs.progress import progress
from batch_runs.terminal import complain, run_command, say
from coc_labeling.errors import CocLabelingError
from coc_labeling.keyframes import read_keyframes
from coc_labeling.results import SUMMARY
from driving_clips import files
from driving_clips.datasets.base import find_sidecar, is_legal_id
from driving_clips.errors import ClipError, ClipFailedError, DatasetError
from driving_clips.video.opening import inflation_fault
from meta_action.errors import MetaActionError
from meta_action.names import parse_names

COMMAND = "extract_pai_videos_from_index.py"
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
COPY_BYTES = 1 << 20  # at a time, so that memory stays flat
CHECKSUM_UP_TO = 1 << 20  # larger files that are there already are compared by size alone
_SHOWN = 3
_ENCRYPTED = 0x1  # flag bit of a member, APPNOTE.TXT 4.4.4
_MEMBER = re.compile(r"(?P<clip>.+?)\.(?P<camera>[A-Za-z0-9_-]+)(?P<kind>\.mp4|(\.mp4)?\.timestamps(\.parquet)?)")
# What a damaged member, or an unknown method of compression, makes zipfile raise.
_MEMBER_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError)
_log = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Return the command's arguments."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="Extract the videos of the clips in a keyframe index to <output-video-root>/camera/.",
        epilog="Exit code: 0 all well, 1 some videos are missing or failed, 2 nothing could be done.",
        allow_abbrev=False,
    )
    parser.add_argument("--index-file", required=True, help="keyframe JSON of Step 2 that names the clips")
    parser.add_argument("--video-zip-dir", required=True, help="folder with the camera's chunk zips")
    parser.add_argument("--output-video-root", required=True, help="folder to extract to, later data.video_dir")
    parser.add_argument(
        "--meta-action-filter", nargs="+", metavar="NAME", help="only clips with these meta-actions (default: all)"
    )
    parser.add_argument("--camera-name", metavar="NAME", help="camera to extract (default: the only one in the zips)")
    parser.add_argument("--overwrite", action="store_true", help="write videos that are there already again")
    parser.add_argument("--dry-run", action="store_true", help="list what would be written, and write nothing")
    parser.add_argument("--strict", action="store_true", help="a video without frame timestamps counts as missing")
    parser.add_argument(
        "--log-level", type=str.upper, choices=LOG_LEVELS, default="WARNING", help="INFO names each file written"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    return run_command(lambda: _run(arguments), CocLabelingError, MetaActionError, DatasetError)


def _run(arguments: argparse.Namespace) -> int:
    logging.getLogger().setLevel(arguments.log_level)
    clip_ids = indexed_clips(arguments.index_file, arguments.meta_action_filter)
    archives = Archives.of(arguments.video_zip_dir, frozenset(clip_ids))
    camera = archives.camera(arguments.camera_name)
    extraction = Extraction(archives, camera, files.join(arguments.output_video_root, "camera"), arguments.overwrite)
    for note in archives.notices():
        complain(f"note: {note}")
    if arguments.dry_run:
        return _list(extraction, clip_ids, strict=arguments.strict)
    files.make_dir(extraction.folder)
    files.remove_leftovers(extraction.folder)
    tally = Tally()
    try:
        extraction.extract(clip_ids, tally, strict=arguments.strict)
    except BaseException:
        say(*tally.lines("videos", limit=len(clip_ids)))  # what is done so far; there will be no summary
        raise
    notices = extraction.notices()
    summary = files.join(arguments.output_video_root, SUMMARY)
    everything = [*archives.notices(), *notices]
    write_summary(summary, COMMAND, vars(arguments), tally, unit="videos", camera=camera, notices=everything)
    for note in notices:
        complain(f"note: {note}")
    say(*tally.lines("videos"), f"videos: {extraction.folder}", f"summary: {summary}")
    return tally.exit_code(strict=arguments.strict)


def _list(extraction: "Extraction", clip_ids: Iterable[str], *, strict: bool) -> int:
    """Say what would be written; returns the exit code that writing it would have, as far as that shows."""
    tally = Tally()
    lines = []
    total = 0
    for clip_id in clip_ids:
        try:
            writes = extraction.plan(clip_id)
            total += sum(write.member.size for write in writes)
            lines += [f"would write {write.target} ({write.member.size} bytes) from {write.member}" for write in writes]
            extraction.check_timestamps(clip_id, strict=strict)
            tally.add(DONE, "planned" if writes else ALREADY_DONE, clip_id)
        except ClipError as error:
            tally.add(FAILED, error.reason, clip_id, str(error))
    problems = tally.lines("videos", limit=max(1, tally.count(FAILED)))[1:]
    notes = [f"note: {note}" for note in extraction.notices()]
    say(
        "\n".join(
            [
                *lines,
                *problems,
                *notes,
                f"dry run, nothing written: {len(lines)} files, {total} bytes ({total / 1e9:.2f} GB) for {tally.fresh} "
                f"videos; {len(tally.by_reason[DONE].get(ALREADY_DONE, {}))} videos there already; "
                f"{tally.count(FAILED)} missing or unusable",
            ]
        )
    )
    return tally.exit_code(strict=strict)


def indexed_clips(path: str, action_filter: Sequence[str] | None) -> list[str]:
    """Return the clips of a keyframe index, sorted; with a filter those with a keyframe of one of its meta-actions.

    Names may be joined by commas or spaces, and stand in brackets.

    Raises:
        CocLabelingError: an index that cannot be read, an unknown meta-action, or a filter that leaves no clip.
    """
    keyframes = read_keyframes(path)
    if action_filter is None:
        return sorted({keyframe.clip_id for keyframe in keyframes})
    try:
        wanted = set(parse_names(name for name in re.split(r"[\s,\[\]'\"]+", " ".join(action_filter)) if name))
    except MetaActionError as error:
        raise CocLabelingError(f"--meta-action-filter: {error}") from error
    clip_ids = sorted({keyframe.clip_id for keyframe in keyframes if not wanted.isdisjoint(keyframe.actions)})
    if keyframes and not clip_ids:
        there = sorted({action for keyframe in keyframes for action in keyframe.actions})
        raise CocLabelingError(
            f"{path}: no keyframe of {', '.join(sorted(wanted))} in it, those are of {', '.join(there)}. "
            "Change --meta-action-filter."
        )
    return clip_ids


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive, as its directory says: size in bytes, checksum, and why it is not unpacked, if so."""

    archive: str
    name: str
    size: int
    crc: int
    encrypted: bool
    excess: str

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}".encode(errors="backslashreplace").decode()


@dataclass(frozen=True)
class Archives:
    """What the archives below a folder hold of some clips.

    Attributes:
        folder: the folder.
        cameras: the cameras with a video of any clip.
        members: videos and frame timestamps of the clips, by file name.
        conflicts: further members of a name whose content differs from the first.
        problems: what is wrong with archives that cannot be read.
    """

    folder: str
    cameras: set[str] = field(default_factory=set)
    members: dict[str, Member] = field(default_factory=dict)
    conflicts: dict[str, Member] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: str, clip_ids: frozenset[str]) -> "Archives":
        """Read the directories of all archives below a folder; raises CocLabelingError where there is none to read."""
        if not files.is_dir(folder):
            raise CocLabelingError(f"--video-zip-dir {folder}: no such folder.")
        paths = files.walk_files(folder, (".zip",))
        if not paths:
            raise CocLabelingError(
                f"--video-zip-dir {folder}: no zip archives in it. Expected a camera's chunk zips, for example "
                "camera_front_wide_120fov.chunk_0000.zip."
            )
        found = cls(folder)
        for path in paths:
            try:
                archive = files.open_zip(path)
            except ClipError as error:
                found.problems.append(str(error))
                continue
            for info in archive.infolist():
                found.add(path, info, clip_ids)
        if len(found.problems) == len(paths):
            raise CocLabelingError(f"--video-zip-dir {folder}: no archive can be read. {' '.join(found.notices())}")
        return found

    def add(self, path: str, info: zipfile.ZipInfo, clip_ids: frozenset[str]) -> None:
        """Take in a member of an archive, if it is a video or the frame timestamps of one of the clips."""
        match = _MEMBER.fullmatch(files.base_name(info.filename))
        if match is None or info.is_dir() or not is_legal_id(match["clip"]):
            return
        if match["kind"] == ".mp4":
            self.cameras.add(match["camera"])
        if match["clip"] not in clip_ids:
            return
        stored = info.compress_type == zipfile.ZIP_STORED
        excess = "" if stored else inflation_fault(info.compress_size, info.file_size)
        member = Member(path, info.filename, info.file_size, info.CRC, bool(info.flag_bits & _ENCRYPTED), excess)
        first = self.members.setdefault(match[0], member)
        if excess:
            self.members[match[0]] = member  # the worse of two copies counts: either may be the one that is opened
        if (first.size, first.crc) != (member.size, member.crc):
            self.conflicts.setdefault(match[0], member)

    def camera(self, wanted: str | None) -> str:
        """Return the camera to extract.

        Raises:
            CocLabelingError: there are several and none is asked for, or another than the one asked for.
        """
        there = ", ".join(sorted(self.cameras)) or "none"
        if wanted is not None and wanted not in self.cameras:
            raise CocLabelingError(
                f"--camera-name {wanted}: no video of it in the zips of {self.folder}, only {there}."
            )
        if wanted is None and len(self.cameras) != 1:
            hint = "Choose one with --camera-name." if self.cameras else "Expected members <clip_id>.<camera>.mp4."
            raise CocLabelingError(
                f"--video-zip-dir {self.folder}: expected videos of one camera, found {there}. {hint}"
            )
        return wanted or next(iter(self.cameras))

    def notices(self) -> list[str]:
        """Return what the user should know: archives that cannot be read."""
        return _shortened("archives that cannot be read", self.problems)


@dataclass(frozen=True)
class Write:
    """A member that is to be written, and where to."""

    member: Member
    target: str


@dataclass(frozen=True)
class Extraction:
    """Extracts one camera's videos, with their frame timestamps, to a folder.

    Attributes:
        archives: where they lie.
        camera: the camera's name.
        folder: the folder to write to.
        overwrite: write files that are there already again.
        replaced: files that were there with another content.
        untimed: clips without frame timestamps.
    """

    archives: Archives
    camera: str
    folder: str
    overwrite: bool
    replaced: list[str] = field(default_factory=list)
    untimed: list[str] = field(default_factory=list)

    def extract(self, clip_ids: Sequence[str], tally: Tally, *, strict: bool) -> None:
        """Write what is missing of the clips, archive by archive, and count what became of each.

        Raises:
            OSError: the disk is full.
        """
        place = {clip_id: self.archives.members.get(self._video(clip_id)) for clip_id in clip_ids}
        ordered = sorted(clip_ids, key=lambda clip_id: (member.archive if (member := place[clip_id]) else "", clip_id))
        with progress("Extracting videos", len(clip_ids), "videos") as advance:
            for clip_id in ordered:
                try:
                    writes = self.plan(clip_id)
                    for write in writes:
                        _write(write)
                    self.check_timestamps(clip_id, strict=strict)
                    tally.add(DONE, "extracted" if writes else ALREADY_DONE, clip_id)
                except ClipError as error:
                    tally.add(FAILED, error.reason, clip_id, str(error))
                advance(1, 1)

    def plan(self, clip_id: str) -> list[Write]:
        """Return what is to be written of a clip, nothing where all is there.

        Raises:
            ClipFailedError: no archive has it, two have different ones, or it is encrypted.
        """
        names = [self._video(clip_id)]
        if names[0] not in self.archives.members:
            unread = len(self.archives.problems)
            maybe = f"; it may be in one of the {unread} that cannot be read" if unread else ""
            raise ClipFailedError("missing", f"{names[0]}: in none of the zips of {self.archives.folder}{maybe}.")
        timestamps = find_sidecar(names[0], self.archives.members.__contains__)
        writes = []
        for name in [*names, *([timestamps] if timestamps else [])]:
            member = self.archives.members[name]
            self._refuse(name, member)
            target = files.join(self.folder, name)
            there = files.stamp_or_none(target)
            complete = there is not None and _is_same(target, there.size, member)
            if there is not None and not complete:
                self.replaced.append(f"{target} ({there.size} bytes, {member.size} expected)")
            if self.overwrite or not complete:
                writes.append(Write(member, target))
        return writes

    def check_timestamps(self, clip_id: str, *, strict: bool) -> None:
        """Note a video that has no frame timestamps; with ``strict`` raises ClipFailedError instead."""
        name = self._video(clip_id)
        timed = find_sidecar(name, self.archives.members.__contains__) or find_sidecar(
            files.join(self.folder, name), files.exists
        )
        if timed:
            return
        if strict:
            archive = self.archives.members[name].archive
            raise ClipFailedError("no_timestamps", f"{archive}: {name} is there, its frame timestamps are not.")
        self.untimed.append(clip_id)

    def notices(self) -> list[str]:
        """Return what the user should know of the files."""
        other = _shortened("files that were there with another content, replaced", self.replaced)
        return other + _shortened("videos without frame timestamps in the zips", self.untimed)

    def _video(self, clip_id: str) -> str:
        return f"{clip_id}.{self.camera}.mp4"

    def _refuse(self, name: str, member: Member) -> None:
        other = self.archives.conflicts.get(name)
        if other is not None:
            raise ClipFailedError(
                "duplicate_id", f"{name}: two different files have this name, {member} and {other}. Remove one."
            )
        if member.encrypted:
            raise ClipFailedError("encrypted", f"{member}: is encrypted. Unpack the archive and zip it again without.")
        if member.excess:
            raise ClipFailedError("corrupt_member", f"{member}: {member.excess}. Download the archive again.")


def _shortened(what: str, items: Sequence[str]) -> list[str]:
    if not items:
        return []
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return [f"{what} ({len(items)}): {', '.join(items[:_SHOWN])}{more}"]


def _is_same(path: str, size: int, member: Member) -> bool:
    """Say whether a file is what a member would be: by size, and by checksum where that costs little."""
    return size == member.size and (size > CHECKSUM_UP_TO or zlib.crc32(files.read_bytes(path)) == member.crc)


def _write(write: Write) -> None:
    """Write a member to its target, whole or not at all; raises ClipFailedError, and OSError where the disk is full."""
    member = write.member
    try:
        with files.atomic_path(write.target) as temporary:
            with files.open_zip(member.archive).open(member.name) as source, open(temporary, "wb") as sink:  # noqa: PTH123
                shutil.copyfileobj(source, sink, COPY_BYTES)  # zipfile compares the checksum at the end
                written = sink.tell()
            if written != member.size:
                raise zipfile.BadZipFile(f"{written} bytes in it, {member.size} expected")
    except _MEMBER_FAULTS as error:
        raise ClipFailedError(
            "corrupt_member", f"{member}: cannot be read ({error}). Download the archive again."
        ) from error
    except OSError as error:
        if files.is_disk_full(error):
            raise
        raise ClipFailedError(
            "unwritable", f"{member}: cannot be written to {write.target} ({error.strerror or error})."
        ) from error
    _log.info("written: %s (%d bytes)", write.target, member.size)


if __name__ == "__main__":
    sys.exit(main())
