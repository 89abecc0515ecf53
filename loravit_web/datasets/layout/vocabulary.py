"""The words themselves, in lower case and without accents."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRAIN = _words("""
train training trainings trn trainval trainvalid tr traning trainning trian learn learning fit
lern lernen entrainement apprentissage entrenamiento entrenar entreno treino treinamento treinar
addestramento allenamento antrenare instruire
träning træning trening trenning opleiding koulutus opetus
trening treningowy treningowa treningowe uczenie uczący ucząca uczące trénink trénovací tréning tanító tanítás
eğitim latih pelatihan latihan huấnluyện
обучение обучающая обучающий обучающие обучающее обучения тренировка тренировочная тренировочный тренировочные
трейн навчання навчальна навчальні тренування тренувальна тренувальні εκπαίδευση
训练 訓練 学習 學習 培训 학습 훈련 تدريب التدريب آموزش אימון प्रशिक्षण ฝึก
""")
VALIDATION = _words("""
val valid validation validations validate validates validating vali dev devel development va vl vld
validaton vallidation crossvalidation
validierung validieren validacion validacao validar validazione convalida validare
validering validatie validointi walidacja walidacyjny walidacyjna walidacyjne
validace validační validácia validálás doğrulama validasi
валидация валидационная валидационный валидационные проверка проверочная проверочные
валідація валідаційна перевірка επικύρωση
验证 驗證 検証 校验 검증 تحقق التحقق اعتبارسنجی
""")
TEST = _words("""
test testing tests tst ts te eval evaluation evaluations evaluate heldout holdout unseen
testen tester prüfung prüfen prueba pruebas teste testes essai prova evaluación avaliação évaluation
valutazione testi toets testowy testowa testowe testowanie testování testovací teszt tesztelés testare
uji pengujian kiểmtra
тест тесты тестирование тестовая тестовый тестовые тестовое контрольная контрольные
тестування тестова тестові контрольна δοκιμή τεστ
测试 測試 测验 テスト 評価 试验 評估 评估 시험 테스트 평가 اختبار الاختبار آزمون מבחן בדיקה परीक्षण ทดสอบ
""")
SPLIT_FILLERS = _words("""
private public blind used ds v version k small large mini tiny big easy hard labeled labelled lbl clean noisy
""")
"""More words that do not change what the name of a split means."""
FILLERS = _words("""
the a of my our for and set sets data dataset datasets image images img imgs photo photos pic pics picture
pictures folder folders dir split splits sample samples file files class classes jpg jpeg png final full
frames crops patches only percent public
""")
"""Words that do not change what a name means."""
IMAGE = _words("""
image images img imgs photo photos pic pics picture pictures original originals orig raw input inputs rgb
jpg jpeg jpegs png pngs jpegimages jpgimages frame frames slice slices scan scans source x
bild bilder foto fotos imagen imagenes imagem imagens immagine immagini afbeeldingen zdjęcia obrazy
изображение изображения фото картинки 图片 图像 图 影像 照片 画像 写真 이미지 사진
""")
"""Words of folders that contain the images themselves."""
MASK = _words("""
mask masks masque masked annotation annotations annot annots segmentation segmentations segm seg segs label
labels gt gts groundtruth groundtruths truth trimap trimaps segmentationclass segmentationobject contour
contours overlay overlays thumb thumbs thumbnail thumbnails matte mattes
masken maske mascara mascaras máscara máscaras masques maschera maschere maski maska etiquetas anotaciones
маска маски разметка аннотации 掩码 掩膜 蒙版 标注 标签 マスク マスク画像 마스크 어노테이션
""")
COMPANION = _words("""
superpixel superpixels depth depthmap depthmaps heatmap heatmaps saliency disparity normals edges skeleton
silhouette silhouettes parsing instance instances gradcam
""")
"""Words of files that are derived from an image. They tell nothing without the image itself."""
PART = _words("""
fold folds cv kfold part parts batch batches shard shards chunk chunks subset subsets session sessions
subject subjects patient patients user users participant participants person volunteer disc disk day week
month run trial round sequence seq video clip site hospital center centre location rep repetition
""")
"""Words of numbered parts of a dataset."""
VARIANT = _words("""
original originals orig raw augmented augmentation augmentations augment aug unaugmented grayscale greyscale
gray grey color colour colored coloured rgb bw segmented unsegmented segmentation resized rescaled cropped
uncropped crop crops enhanced denoised normalized normalised preprocessed processed unprocessed lowres
highres lr hr hd magnification zoom px background nobackground bg
""")
"""Words of versions of the same images."""
SIDE = _words("""
doc docs documentation assets asset figure figures fig figs screenshot screenshots notebook notebooks script
scripts src source demo demos example examples result results output outputs run runs checkpoint checkpoints
log logs static web website site app templates util utils tool tools code resource resources res media github
readme logo logos icon icons banner misc report reports plots plot visualization visualizations preview
previews weights models model lib config configs gallery wiki teaser
""")
"""Words of folders of a repository that contain no data."""
DATA = _words("data dataset datasets image images imgs img photos pictures raw train training")
UNLABELED = _words("""
unlabeled unlabelled unlabel unlab pred preds predict prediction predictions inference infer unsup
unsupervised submission submissions unknown unclassified unsorted
""")
