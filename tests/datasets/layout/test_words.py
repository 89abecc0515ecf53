"""Words of splits in many languages, alone and with words that change nothing."""

from __future__ import annotations

import pytest

from loravit_web.datasets.layout.words import split_and_rest, split_of

TRAIN = """
train TRAIN Training train_set train-images-folder trainingdata X_train ds_train my_train train_v2 train-10k
train_256x256 train224 aug_train train_resized train_labeled entrenamiento entreno entraînement treino
addestramento Lerndaten träning træning trening treningowy opleiding koulutus trénovací tanító eğitim latih
обучающие обучающая тренировочная навчання εκπαίδευση 训练数据 训练样本 訓練集 学習データ 학습데이터 훈련용
تدريب آموزش אימון प्रशिक्षण
"""
VALIDATION = """
val valid Validation vld dev_set val_aug x_val cross-validation validación validação convalida
Validierungsdaten walidacja walidacyjny validatie validering doğrulama validasi валидационная проверка
перевірка επικύρωση 验证数据 驗證集 検証用 検証データ 검증데이터 تحقق
"""
TEST = """
test Testing TEST1 testB test_hard PublicTest PrivateTest private_test holdout
Hold-Out unseen_data evaluation_set prueba teste essai prova Prüfung Testbilder testowy testovací teszt
toets uji тестовые тестовый
контрольная тестування δοκιμή 測試集 测试样本 評估 テストデータ 테스트 평가 시험데이터 اختبار מבחן परीक्षण
"""
OTHER = """
trains trainer trainers rain training_shoes testify tester_pen contest invalid validated_by cat eval_car
old_train latte 检查员 проверено тесто
"""


@pytest.mark.parametrize(
    ("names", "split"), [(TRAIN, "train"), (VALIDATION, "val"), (TEST, "test"), (OTHER, None)]
)
def test_a_name_means_a_split_in_any_language_case_and_spelling(names: str, split: str | None) -> None:
    assert {name: split_of(name) for name in names.split()} == dict.fromkeys(names.split(), split)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("train_cat", ("train", "cat")),
        ("Cat (test)", ("test", "Cat")),
        ("ok - Validation", ("val", "ok")),
        ("trainA", ("train", "A")),
        ("TestingHotDog", ("test", "HotDog")),
        ("кошки_тест", ("test", "кошки")),
        ("gato_validación", ("val", "gato")),
        ("train", None),
        ("cat", None),
        ("train_test", None),
        ("tr_cat", None),
    ],
)
def test_a_name_can_mean_a_split_and_something_else(name: str, meant: tuple[str, str] | None) -> None:
    assert split_and_rest(name) == meant
