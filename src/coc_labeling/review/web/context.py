"""What every endpoint has at hand: the site, who asks, and a page to answer with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Path, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from coc_labeling.review.results.overviews import Overviews
from coc_labeling.review.store import ReviewStore, Role
from coc_labeling.review.web.access import Access, Tries
from coc_labeling.review.web.assets import Assets
from driving_clips import files

if TYPE_CHECKING:
    from coc_labeling.review.material import Material


@dataclass(frozen=True)
class Person:
    """Who is signed in."""

    name: str
    role: Role


@dataclass
class Site:
    """One run's reviews on the web."""

    store: ReviewStore
    material: "Material"
    access: Access
    templates: Environment
    run_dir: str
    assets: Assets
    tries: Tries = field(default_factory=Tries)
    overviews: Overviews = field(init=False)

    def __post_init__(self) -> None:
        """Get ready to count the numbers of the overview."""
        self.overviews = Overviews(self.store)

    @property
    def name(self) -> str:
        """The run's name."""
        return files.base_name(files.absolute(self.run_dir))


def site(request: Request) -> Site:
    """Return the site of a request."""
    found: Site = request.app.state.site
    return found


def session_of(request: Request) -> str:
    """Return the value of the session's cookie; empty where there is none."""
    return request.cookies.get(site(request).access.cookie, "")


def person_of(request: Request) -> Person | None:
    """Return who is signed in; None for nobody."""
    here = site(request)
    name = here.access.person_of_session(session_of(request))
    role = here.store.people().get(name) if name else None
    return Person(name, role) if name and role else None


def signed_in(request: Request) -> Person:
    """Return who is signed in. Others get 401, which pages answer with a way to the sign-in page."""
    person = person_of(request)
    if person is None:
        raise HTTPException(401, "You are not signed in, or were signed in too long ago. Open your link again.")
    return person


Someone = Annotated[Person, Depends(signed_in)]
Here = Annotated[Site, Depends(site)]
TaskNumber = Annotated[int, Path(ge=1, lt=1 << 63)]  # as SQLite counts


def may(*roles: Role) -> Callable[[Person], Person]:
    """Return a dependency that gives who is signed in, and answers 403 to other roles."""

    def checked(person: Someone) -> Person:
        if person.role not in roles:
            allowed = " or ".join(str(role) for role in roles)
            raise HTTPException(403, f"This is for the role {allowed}; {person.name} is {person.role}.")
        return person

    return checked


def render(request: Request, template: str, status_code: int = 200, /, **context: object) -> HTMLResponse:
    """Return a page: ``context`` and person, csrf, static(name) -> url, run_name, path."""
    here, session = site(request), session_of(request)
    given = {
        "person": context["person"] if "person" in context else person_of(request),
        "csrf": here.access.csrf(session),
        "static": here.assets.url,
        "run_name": here.name,
        "path": request.url.path,
    }
    return HTMLResponse(here.templates.get_template(template).render(given | context), status_code)
