"""How noisy each domain is.

`PROFILES` holds for the sentences of one domain only. The neutral sentences that all domains of
a head share are written with `NEUTRAL`, the same in every domain: else the frequency of emoji
would tell the domain, and the ceiling of `oracle.py` would not be one.
"""

from dataclasses import dataclass

__all__ = ["NEUTRAL", "PROFILES", "Profile"]

_FACES = ("😂", "😍", "🙏", "❤️", "😢", "👏", "🤔", "🔥")
_HANDLES = ("sara_m78", "ali_rezaei", "khabar_rooz", "mrs_noori", "arash1370", "donya_ir")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Probabilities of noise, per text unless said otherwise.

    arabic: Arabic ي and ك. zwnj_space, zwnj_drop: per word that has a ZWNJ. stretch: one word is
    drawn out. hashtag: per filler. no_final: the last mark is missing. digits: weights of
    Persian, Arabic and Latin digits. topic: a hashtag of the domain's `topics`.
    """

    arabic: float = 0.15
    zwnj_space: float = 0.2
    zwnj_drop: float = 0.15
    stretch: float = 0.1
    hashtag: float = 0.08
    emoji: float = 0.2
    mention: float = 0.06
    url: float = 0.06
    no_final: float = 0.3
    digits: tuple[float, float, float] = (0.7, 0.1, 0.2)
    topic: float = 0.12
    emojis: tuple[str, ...] = _FACES
    topics: tuple[str, ...] = ()
    handles: tuple[str, ...] = _HANDLES


NEUTRAL: dict[str, Profile] = {
    "formal": Profile(stretch=0.08, emoji=0.12, hashtag=0.06),
    "social": Profile(),
}

PROFILES: dict[str, Profile] = {
    "news": Profile(
        arabic=0.25, zwnj_space=0.1, zwnj_drop=0.05, stretch=0, hashtag=0, emoji=0, mention=0,
        url=0.02, no_final=0.05, digits=(0.85, 0.1, 0.05),
    ),
    "tweet": Profile(
        zwnj_space=0.3, zwnj_drop=0.3, stretch=0.2, hashtag=0.1, emoji=0.35, mention=0.2, url=0.1,
    ),
    "academic": Profile(
        stretch=0, emoji=0.08, no_final=0.1, topics=("دانشگاه", "پژوهش"),
        emojis=("📚", "🎓", "🔬"),
    ),
    "art": Profile(topics=("هنر", "سینما", "تئاتر"), emojis=("🎨", "🎬", "🎭", "❤️")),
    "economic": Profile(
        stretch=0, emoji=0.1, topics=("بورس", "اقتصاد"), emojis=("📈", "📉", "💰"),
    ),
    "fun": Profile(
        zwnj_space=0.3, zwnj_drop=0.3, stretch=0.35, emoji=0.6, topics=("خنده", "طنز"),
        emojis=("😂", "🤣", "😅", "😍"),
    ),
    "game": Profile(
        zwnj_drop=0.3, stretch=0.2, emoji=0.25, digits=(0.4, 0.1, 0.5), topics=("گیم", "تریلر"),
        emojis=("🎮", "🔥", "👾"),
    ),
    "general_news": Profile(
        arabic=0.25, stretch=0, emoji=0.08, url=0.12, topics=("خبر", "فوری"), emojis=("🔴", "🔺"),
    ),
    "health": Profile(stretch=0.02, topics=("سلامت", "پزشکی"), emojis=("🍏", "💊", "👇")),
    "it_news": Profile(
        stretch=0, url=0.15, digits=(0.5, 0.1, 0.4), topics=("فناوری", "موبایل"),
        emojis=("📱", "💻", "🔸"),
    ),
    "sports": Profile(
        hashtag=0.15, emoji=0.3, topics=("فوتبال", "ورزش"), emojis=("⚽", "🏆", "🔴", "💙"),
    ),
    "travel": Profile(
        arabic=0.2, emoji=0.35, mention=0.12, url=0.12, topics=("سفر", "تور"),
        emojis=("✈️", "🏝", "🌍", "😍"),
    ),
}  # fmt: skip
