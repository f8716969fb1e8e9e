from conftest import entities
def test_x(trained):
    for t in ["سفر تبریز دریا ایران هتل سپاهان","گل تبریز لیگ ایران سپاهان","خبر ایران تبریز سپاهان دولت"]:
        d=trained(t); print(d._.domain, entities(d), d.cats, d.spans["multibert_ner"].attrs)
