"""Region profiles: what a missing value does, how lawful absence is written, which texts are answers. See `load_profile`."""

from frontend_agent.profiles.profile import Element, OneOf, Profile, load_profile, parse_profile, profile_names

__all__ = ["Element", "OneOf", "Profile", "load_profile", "parse_profile", "profile_names"]
