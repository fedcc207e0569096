"""Releases and the movable names that point to them."""

from __future__ import annotations

from collections.abc import Iterable

from modelyard.base import clock
from modelyard.base.messages import t
from modelyard.core.release import Alias, Release, State
from modelyard.errors import ConflictError, StoreError
from modelyard.store.ledger.changes import changing
from modelyard.store.ledger.database import Database, Parameters

_RELEASE = "SELECT name, version, state, model, bundle, decision, created FROM releases"
_NEWEST = "ORDER BY version DESC LIMIT 1"
_ALIAS = "SELECT name, alias, version, revision, previous FROM aliases"


class Releases:
    """Versions are dense and come from a counter; aliases move by compare-and-swap."""

    _database: Database

    def create_release(
        self,
        *,
        name: str,
        state: State,
        model: str,
        bundle: str,
        decision: str,
        keeps: Iterable[str] = (),
        lost: str | None = None,
        expected_version: int | None = None,
    ) -> Release:
        """Record a release under the next version of its name.

        The same decision is released once: asked again, the release that is there is returned.

        Args:
            keeps: digests, besides model and bundle, that are never removed while the release is there.
            expected_version: the version that the bundle bears; another one is a ConflictError.
            lost: the bundle of the release that is there, if its bytes are damaged or gone: this one follows it.
        """
        row = {"name": name, "state": state, "model": model, "bundle": bundle, "decision": decision}
        with changing(self._database) as writer:
            found = writer.read(f"{_RELEASE} WHERE name = :name AND decision = :decision {_NEWEST}", row)
            if found and Release(*found[0]).bundle != lost:
                return Release(*found[0])
            version = writer.next(f"release:{name}")
            if expected_version not in (None, version):
                raise ConflictError(
                    t("another release of `{name}` was made at the same moment", name=name),
                    remedy=t("run it again"),
                )
            created = clock.now_utc()
            writer.execute(
                "INSERT INTO releases (name, version, state, model, bundle, decision, created)"
                " VALUES (:name, :version, :state, :model, :bundle, :decision, :created)",
                {**row, "version": version, "created": created},
            )
            writer.execute_many(
                "INSERT INTO release_keeps (name, version, digest) VALUES (:name, :version, :digest)",
                [{"name": name, "version": version, "digest": digest} for digest in sorted({model, bundle, *keeps})],
            )
            writer.record("release.created", f"{name}@{version}", row)
        return Release(name, version, state, model, bundle, decision, created)

    def release(self, name: str, version: int) -> Release:
        """One release. Raises StoreError if there is none."""
        found = self._releases(f"{_RELEASE} WHERE name = :name AND version = :v", {"name": name, "v": version})
        if not found:
            raise StoreError(
                t("there is no release {name}@{version}", name=name, version=version),
                remedy=t("`modelyard release list` shows those that are there"),
            )
        return found[0]

    def release_of(self, name: str, decision: str) -> Release | None:
        """The release that a decision led to, if it was made; the newest, if a lost one was made again."""
        where = f"WHERE name = :name AND decision = :d {_NEWEST}"
        found = self._releases(f"{_RELEASE} {where}", {"name": name, "d": decision})
        return found[0] if found else None

    def releases(self, name: str | None = None) -> tuple[Release, ...]:
        """All releases, or those of a name; newest first within a name."""
        where = "WHERE name = :name" if name is not None else ""
        return self._releases(f"{_RELEASE} {where} ORDER BY name, version DESC", {} if name is None else {"name": name})

    def alias(self, name: str, alias: str) -> Alias | None:
        """Where an alias points, or None."""
        rows = self._database.read(f"{_ALIAS} WHERE name = :name AND alias = :alias", {"name": name, "alias": alias})
        return Alias(*rows[0]) if rows else None

    def aliases(self, name: str | None = None) -> tuple[Alias, ...]:
        """All aliases, or those of a name."""
        where = "WHERE name = :name" if name is not None else ""
        rows = self._database.read(f"{_ALIAS} {where} ORDER BY name, alias", {} if name is None else {"name": name})
        return tuple(Alias(*row) for row in rows)

    def move_alias(self, name: str, alias: str, version: int, expected_revision: int, forget: bool = False) -> Alias:
        """Point an alias to a version, if nobody moved it since it was looked at.

        Args:
            expected_revision: the revision that the caller saw; 0 if there was no such alias.
            forget: keep no memory of where it pointed before (a rollback).

        Raises:
            ConflictError: the alias has another revision now.
            StoreError: there is no such release.
        """
        place = {"name": name, "alias": alias}
        with changing(self._database) as writer:
            if not writer.read("SELECT 1 FROM releases WHERE name = :name AND version = :v", {**place, "v": version}):
                raise StoreError(
                    t("there is no release {name}@{version}", name=name, version=version),
                    remedy=t("`modelyard release list` shows those that are there"),
                )
            found = writer.read(f"{_ALIAS} WHERE name = :name AND alias = :alias", place)
            current = Alias(*found[0]) if found else None
            revision = current.revision if current else 0
            if revision != expected_revision:
                raise _moved(name, alias, expected_revision, current)
            previous = current.version if current and not forget else None
            moved = Alias(name, alias, version, revision + 1, previous)
            writer.execute(
                "INSERT INTO aliases (name, alias, version, revision, previous)"
                " VALUES (:name, :alias, :version, :revision, :previous) ON CONFLICT (name, alias) DO UPDATE SET"
                " version = excluded.version, revision = excluded.revision, previous = excluded.previous",
                {**place, "version": version, "revision": moved.revision, "previous": moved.previous},
            )
            detail = {"version": version, "previous": moved.previous, "revision": moved.revision}
            writer.record("alias.moved", f"{name}:{alias}", detail)
        return moved

    def _releases(self, sql: str, parameters: Parameters) -> tuple[Release, ...]:
        return tuple(Release(*row) for row in self._database.read(sql, parameters))


def _moved(name: str, alias: str, expected: int, current: Alias | None) -> ConflictError:
    if current is None:
        found = t("there is no such alias")
    else:
        found = t("it has revision {revision}, version {version}", revision=current.revision, version=current.version)
    return ConflictError(
        t("somebody moved {name}:{alias} first: {found}", name=name, alias=alias, found=found),
        expected=t("revision {revision}", revision=expected),
        remedy=t("look where it points now, then decide again"),
    )
