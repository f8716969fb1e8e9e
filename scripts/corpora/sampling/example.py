"""Three threads as a user would have them: raw texts, no labels.

Some texts stand in more than one thread. «تبریز امروز خیلی خوب بود» is about a town, a club and a
listed refinery; only the neighbours tell. Names of people come from Faker, the rest is written
here.
"""

from .gazetteers import build_gazetteer

__all__ = ["example_threads"]

_THREADS: dict[str, tuple[str, ...]] = {
    "travel-1": (
        "تور ۴ روزه تبریز با قطار و هتل، نفری ۳ میلیون تومان ✈️ همین امروز رزرو کنید",
        "تبریز امروز خیلی خوب بود و همه راضی بودند 😍",
        "بهترین فصل سفر به ایران بهار است، هتل‌ها هم خلوت‌اند. #سفر",
        "{person1} راهنمای تور ما، مسافران را به ماسوله و قلعه رودخان می‌برد.",
        "اگر به کاشان رفتید، دیدن باغ فین را از دست ندهید.",
        "هنوز باورم نمی‌شود ایران این همه طرفدار داشته باشد!",
        "پرواز مستقیم تبریز به ترکیه از شهریور دوباره برقرار می‌شود.",
    ),
    "football-1": (
        "نیمه اول تمام شد: تبریز ۲ - ۱ سپاهان، چه بازی قشنگی ⚽",
        "تبریز امروز خیلی خوب بود و همه راضی بودند 👏",
        "{person2} سرمربی تبریز: داور پنالتی ما را نگرفت.",
        "ملی‌پوشان #ایران فردا در جام ملت‌های آسیا به زمین می‌روند.",
        "ایران از ژاپن جلو افتاده و این اصلا عجیب نیست.",
        "مصدومیت {person3} جدی است و دربی این هفته را از دست می‌دهد 😢",
        "هنوز باورم نمی‌شود ایران این همه طرفدار داشته باشد!",
        "بلیت بازی پرسپولیس و استقلال در ورزشگاه آزادی از شنبه فروخته می‌شود.",
    ),
    "economy-1": (
        "شاخص کل بورس ۴۵ واحد رشد کرد و نماد فولاد خوزستان صف خرید شد 📈",
        "سود هر سهم تبریز در گزارش نه‌ماهه ۲۳ درصد رشد کرده است.",
        "ایران تعرفه واردات خودرو را ۲۰ درصد افزایش داد.",
        "تبریز امروز خیلی خوب بود و همه راضی بودند.",
        "{person4}، مدیرعامل بانک سامان، از کاهش نرخ سود سپرده‌ها خبر داد. #بورس",
        "انتظار ما از ایران خیلی بیشتر از این حرف‌ها بود.",
        "وزارت اقتصاد: یارانه آذر از دوشنبه به حساب سرپرستان خانوار واریز می‌شود.",
    ),
}


def example_threads(seed: int = 0) -> list[dict[str, str]]:
    """Write three threads: travel, football, economy.

    seed (int): Chooses the names of people.
    RETURNS (list[dict[str, str]]): Rows with "thread" and "text"; threads one after the other.
    """
    people = build_gazetteer(seed).known["person"]
    names = {f"person{i}": people[i] for i in range(1, 5)}
    return [
        {"thread": thread, "text": text.format(**names)}
        for thread, texts in _THREADS.items()
        for text in texts
    ]
