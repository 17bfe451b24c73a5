import pytest
from hypothesis import given
from hypothesis import strategies as st

from coc_labeling.review.errors import ReviewError
from coc_labeling.review.web.access import SECRET, SESSION_SEC, Access, Tries

KEY = b"k" * 32


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_of_one_person_one_run_and_one_secret():
    access = Access(KEY, "run")
    token = access.token("ann")
    assert access.person_of_token(token, ["bob", "ann", "zoe"]) == "ann"
    assert access.person_of_token(token, ["bob"]) is None
    assert token not in (access.token("bob"), Access(KEY, "other").token("ann"), Access(b"o" * 32, "run").token("ann"))


def test_a_session_holds_for_seven_days():
    clock = Clock()
    access = Access(KEY, "run", clock)
    session = access.session("ann")
    clock.now += SESSION_SEC - 2
    assert access.person_of_session(session) == "ann"
    clock.now += 3
    assert access.person_of_session(session) is None


def test_a_session_from_the_future_is_none():
    clock = Clock()
    access = Access(KEY, "run", clock)
    session = access.session("ann")
    clock.now -= 3600
    assert access.person_of_session(session) is None


def test_a_session_cannot_be_changed_or_taken_to_another_run():
    session = Access(KEY, "run").session("ann")
    name, issued, signature = session.split("~")
    forged = [
        f"dora~{issued}~{signature}",
        f"{name}~{int(issued) + 1}~{signature}",
        f"{name}~{issued}~{signature[:-1]}{'A' if signature[-1] != 'A' else 'B'}",
        f"{name}~{issued}~{Access(KEY, 'run').token('ann')}",
    ]
    assert [Access(KEY, "run").person_of_session(one) for one in forged] == [None] * 4
    assert Access(KEY, "other").person_of_session(session) is None


@given(st.text(max_size=200))
def test_nothing_else_signs_in(text):
    access = Access(KEY, "run")
    assert access.person_of_token(text, ["ann", "bob"]) is None
    assert access.person_of_session(text) is None
    assert not access.is_csrf(access.session("ann"), text)


def test_the_proof_of_a_form_belongs_to_a_session():
    clock = Clock()
    access = Access(KEY, "run", clock)
    one = access.session("ann")
    clock.now += 1
    other = access.session("ann")
    assert access.is_csrf(one, access.csrf(one))
    assert not access.is_csrf(other, access.csrf(one))


def test_without_a_secret_links_change_at_each_start():
    tokens = {Access.of_run("run", {}).token("ann") for _ in range(3)}
    assert len(tokens) == 3
    lasting = {Access.of_run("run", {SECRET: "s" * 32}).token("ann") for _ in range(3)}
    assert len(lasting) == 1


@pytest.mark.parametrize("secret", ["", "short", "x" * 31])
def test_a_short_secret_is_refused_and_not_shown(secret):
    with pytest.raises(ReviewError, match="32 or more") as refused:
        Access.of_run("run", {SECRET: secret})
    assert secret in ("", "short") or secret not in str(refused.value)


def test_ten_failures_in_a_minute_are_the_most():
    clock = Clock()
    tries = Tries(clock)
    for _ in range(10):
        assert not tries.too_many("1.2.3.4")
        tries.failed("1.2.3.4")
    assert tries.too_many("1.2.3.4")
    assert not tries.too_many("1.2.3.5")
    clock.now += 61
    assert not tries.too_many("1.2.3.4")


def test_of_very_many_addresses_the_oldest_are_forgotten():
    tries = Tries(Clock())
    for number in range(Tries.ADDRESSES + 5):
        for _ in range(10):
            tries.failed(str(number))
    assert not tries.too_many("0")
    assert tries.too_many(str(Tries.ADDRESSES + 4))
