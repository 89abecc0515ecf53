"""The words themselves, in lower case and without accents."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TRAIN = _words("""
train training trn trainval trainvalid tr traning trainning trian learn learning fit
entrainement apprentissage entrenamiento treino treinamento addestramento обучение обучающая
训练 訓練 学習 학습
""")
VALIDATION = _words("""
val valid validation validate validating vali dev devel development va validaton vallidation
validierung validacion validacao validazione проверка валидация 验证 検証 검증
""")
TEST = _words("""
test testing tests tst ts te eval evaluation evaluate heldout holdout unseen
testen prueba pruebas teste testes essai тест тестирование тестовая 测试 测验 テスト 評価 시험
""")
FILLERS = _words("""
the a of my our for and set sets data dataset datasets image images img imgs photo photos pic pics picture
pictures folder folders dir split splits sample samples file files class classes jpg jpeg png final full
frames crops patches only percent public
""")
"""Words that do not change what a name means."""
IMAGE = _words("""
image images img imgs photo photos pic pics picture pictures original originals orig raw input inputs rgb
jpg jpeg jpegs png pngs jpegimages jpgimages frame frames slice slices scan scans source x
""")
"""Words of folders that contain the images themselves."""
MASK = _words("""
mask masks masque masked annotation annotations annot annots segmentation segmentations segm seg segs label
labels gt gts groundtruth groundtruths truth trimap trimaps segmentationclass segmentationobject contour
contours overlay overlays thumb thumbs thumbnail thumbnails
""")
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
