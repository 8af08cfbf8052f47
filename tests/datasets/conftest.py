"""A tiny tree of every registered data set, in its publisher's exact format."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Builder = Callable[[Path], None]


def write_image(path: Path, value: int = 100, shape: tuple[int, int] = (8, 8)) -> None:
    """Write a flat grey image, with its folders; DICOM names get placeholder bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in {".dcm", ".dicom"}:
        path.write_bytes(b"not read by the adapters")
    else:
        Image.fromarray(np.full(shape, value, np.uint8)).save(path)


def write_text(path: Path, text: str) -> None:
    """Write text, with its folders, gzipped where the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


NIH_HEAD = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def nih(root: Path) -> None:
    rows = [
        "00000001_000.png,Cardiomegaly|Emphysema,0,1,058Y,M,PA,2682,2749,0.143,0.143",
        "00000001_001.png,No Finding,1,1,58,M,AP,2894,2729,0.143,0.143",
        "00000002_000.png,Pleural_Thickening,0,2,414,F,PA,2500,2048,0.171,0.171",
        "00000003_000.png,Nodule,0,3,30,F,PA,2500,2048,0.171,0.171",
    ]
    write_text(root / "Data_Entry_2017.csv", "\n".join([NIH_HEAD, *rows]) + "\n")
    write_text(root / "train_val_list.txt", "00000001_000.png\n00000001_001.png\n")
    write_text(root / "test_list.txt.gz", "00000002_000.png\n00000003_000.png\n")
    write_text(
        root / "BBox_List_2017.csv",
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000002_000.png,Infiltrate,10.5,20,30,40,,,\n99999999_000.png,Mass,1,1,1,1,,,\n",
    )
    write_text(
        root / "rsna_opacity_boxes.csv",
        "Image Index,class,x,y,width,height\n00000001_001.png,Normal,,,,\n"
        "00000002_000.png,Lung Opacity,1,2,3,4\n",
    )
    write_text(
        root / "google2019_nih-chest-xray-labels.csv.gz",
        NIH_HEAD + ",Fracture,Pneumothorax,Airspace opacity,Nodule or mass,Set Id\n"
        "00000001_001.png,No Finding,1,1,58,M,AP,2,2,1,1,NO,YES,NO,YES,val\n"
        "00000003_000.png,Nodule,0,3,30,F,PA,2,2,1,1,NO,NO,YES,NO,test\n",
    )
    write_image(root / "images_001/images/00000001_000.png")
    write_image(root / "images_012/images/00000002_000.png")


CHEXPERT_HEAD = (
    "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Enlarged Cardiomediastinum,Cardiomegaly,"
    "Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,Atelectasis,Pneumothorax,"
    "Pleural Effusion,Pleural Other,Fracture,Support Devices"
)


def chexpert(root: Path) -> None:
    base = "CheXpert-v1.0-small"
    write_text(
        root / "train.csv",
        f"{CHEXPERT_HEAD}\n"
        f"{base}/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,"
        "1.0,,,,,,,,,0.0,,,,1.0\n"
        f"{base}/train/patient00002/study2/view2_lateral.jpg,Unknown,0,Lateral,,"
        ",,,-1.0,,-1.0,,,,,1.0,,,\n",
    )
    write_text(
        root / "valid.csv",
        f"{CHEXPERT_HEAD}\n{base}/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,PA,"
        + ",".join(["0.0"] * 13 + ["1.0"]) + "\n",
    )  # fmt: skip
    write_image(root / "train/patient00001/study1/view1_frontal.jpg")
    write_image(root / "valid/patient64541/study1/view1_frontal.jpg")


def chexlocalize(root: Path) -> None:
    head = CHEXPERT_HEAD.split(",")
    write_text(
        root / "CheXpert/val_labels.csv",
        f"{CHEXPERT_HEAD}\nCheXpert-v1.0/valid/patient64541/study1/view1_frontal.jpg,Male,73,"
        "Frontal,AP," + ",".join(["0.0"] * 13 + ["1.0"]) + "\n",
    )
    write_text(
        root / "CheXpert/test_labels.csv",
        ",".join(["Path", *head[6:]]) + "\ntest/patient64742/study1/view1_frontal.jpg,"
        + ",".join(["0"] * 13) + "\n",
    )  # fmt: skip
    # 3 x 2 pixels: "132" is one background, three foreground, two background pixels.
    masks = {
        "patient64541_study1_view1_frontal": {
            "Airspace Opacity": {"size": [3, 2], "counts": "132"},
            "Edema": {"size": [3, 2], "counts": "6"},
        }
    }
    write_text(root / "CheXlocalize/gt_segmentations_val.json", json.dumps(masks))
    write_text(root / "CheXlocalize/gt_segmentations_test.json", "{}")
    write_image(root / "CheXpert/val/patient64541/study1/view1_frontal.jpg")


def mimic(root: Path) -> None:
    findings = (
        "Atelectasis,Cardiomegaly,Consolidation,Edema,Enlarged Cardiomediastinum,Fracture,"
        "Lung Lesion,Lung Opacity,No Finding,Pleural Effusion,Pleural Other,Pneumonia,"
        "Pneumothorax,Support Devices"
    )
    write_text(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,"
        "StudyDate,StudyTime\n"
        "02aa804e-bde0afdd,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.531\n"
        "174413ec-4ec4c1f7,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544,21800506,213014\n"
        "68b5c4b1-227d0485,10000764,57375967,CHEST (PORTABLE AP),,2544,3056,21331019,133557\n",
    )
    write_text(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        "dicom_id,study_id,subject_id,split\n02aa804e-bde0afdd,50414267,10000032,train\n"
        "174413ec-4ec4c1f7,50414267,10000032,train\n68b5c4b1-227d0485,57375967,10000764,validate\n",
    )
    write_text(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        f"subject_id,study_id,{findings}\n10000032,50414267,,,,-1.0,,,,,,1.0,,0.0,,\n",
    )
    write_text(
        root / "patients.csv.gz",
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n"
        "10000032,F,52,2178,2014 - 2016,\n",
    )
    write_image(root / "files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg")


def padchest(root: Path) -> None:
    write_text(
        root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,"
        "ViewPosition_DICOM,Projection,MethodLabel,Labels\n"
        "0,a_1.png,0,20140915,s1,p1,1930.0,F,POSTEROANTERIOR,PA,Physician,['normal']\n"
        "1,b_1.png,0,20150914,s2,p2,1926.0,M,LATERAL,L,RNN_model,"
        "\"['laminar atelectasis', 'pulmonary fibrosis', 'atelectasis', 'kyphosis']\"\n"
        "2,c_1.png,1,20150914,s3,p2,,O,,COSTAL,RNN_model,\"['exclude', '']\"\n"
        "3,d_1.png,1,20150914,s4,p3,1950.0,M,,AP_horizontal,RNN_model,\n",
    )
    write_image(root / "0/a_1.png")


def vindr(root: Path) -> None:
    write_text(
        root / "annotations/image_labels_train.csv",
        "image_id,rad_id,Aortic enlargement,ILD,Nodule/Mass,Pleural effusion,Other diseases,"
        "No finding\n"
        "aaa,R1,1,0,0,1,0,0\naaa,R2,1,0,0,0,0,0\naaa,R3,0,0,0,0,0,0\n"
        "bbb,R1,0,0,0,0,0,1\nbbb,R2,0,0,0,0,0,1\nbbb,R3,0,0,0,0,0,1\n",
    )
    write_text(
        root / "annotations/annotations_train.csv",
        "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
        "aaa,R1,Pleural effusion,10,20,30,45\nbbb,R1,No finding,,,,\n",
    )
    write_text(
        root / "annotations/image_labels_test.csv",
        "image_id,Aortic enlargement,ILD,Nodule/Mass,Pleural effusion,Other disease,No finding\n"
        "ccc,0,1,0,0,0,0\n",
    )
    write_text(
        root / "annotations/annotations_test.csv",
        "image_id,class_name,x_min,y_min,x_max,y_max\nccc,ILD,1,2,3,4\n",
    )
    write_image(root / "train/aaa.dicom")


def rsna(root: Path) -> None:
    write_text(
        root / "stage_2_train_labels.csv",
        "patientId,x,y,width,height,Target\naaa,,,,,0\nbbb,264.0,152.0,213.0,379.0,1\n"
        "bbb,562.0,152.0,256.0,453.0,1\n",
    )
    write_text(
        root / "stage_2_detailed_class_info.csv",
        "patientId,class\naaa,No Lung Opacity / Not Normal\nbbb,Lung Opacity\nbbb,Lung Opacity\n",
    )
    write_image(root / "stage_2_train_images/aaa.dcm")


def siim(root: Path) -> None:
    write_text(
        root / "train-rle.csv",
        "ImageId, EncodedPixels\n1.2.3, -1\n1.2.4, 1 2 1022 2\n1.2.4, 0 1\n1.2.5,-1\n",
    )
    write_image(root / "dicom-images-train/1.2.9/1.2.8/1.2.4.dcm")


def covidx(root: Path) -> None:
    write_text(root / "train.txt", "p1 a one.png COVID-19 cohen\np1 b.png normal rsna\n")
    write_text(root / "test.txt", "p7 c.png pneumonia rsna\n")
    write_image(root / "train/a one.png")
    write_image(root / "test/c.png")


def pediatric(root: Path) -> None:
    for name in (
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0115-0001-0002.jpeg",
        "train/PNEUMONIA/person1_bacteria_1.jpeg",
        "train/PNEUMONIA/person1_bacteria_2.jpeg",
        "train/PNEUMONIA/person447_virus_921_1.jpeg",
        "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
        "test/PNEUMONIA/person1_virus_6.jpeg",
    ):
        write_image(root / name)


def chest_multiclass(root: Path) -> None:
    for name in (
        "train/normal/Normal-1.jpg",
        "train/normal/others (12).jpg",
        "train/pneumonia/Viral Pneumonia-7.jpg",
        "validation/tuberculosis/TB.3.jpg",
        "test/tuberculosis/Tuberculosis-5.jpg",
    ):
        write_image(root / name)


def brain(root: Path) -> None:
    for name in (
        "Training/glioma/Tr-gl_0010.jpg",
        "Training/meningioma/Tr-me_0010.jpg",
        "Training/notumor/Tr-no_0010.jpg",
        "Testing/pituitary/Te-pi_0010.jpg",
    ):
        write_image(root / name)


def lung_masks(root: Path) -> None:
    base = root / "MontgomerySet"
    write_image(base / "CXR_png/MCUCXR_0001_0.png")
    left, right = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    left[2:4, 1:3], right[2:4, 5:7] = 255, 255
    for side, mask in (("left", left), ("right", right)):
        path = base / f"ManualMask/{side}Mask/MCUCXR_0001_0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(mask).convert("1").save(path)
    write_text(
        base / "ClinicalReadings/MCUCXR_0001_0.txt",
        "Patient's Sex: F\nPatient's Age: 027Y\nnormal\n",
    )
    china = root / "ChinaSet_AllFiles"
    write_image(china / "CXR_png/CHNCXR_0327_1.png")
    write_text(china / "ClinicalReadings/CHNCXR_0327_1.txt", "male 45yrs\nright upper PTB\n")
    write_image(root / "mask/CHNCXR_0327_1_mask.png", value=255)


def adult_opacity(root: Path) -> None:
    lung_masks(root / "lungs")
    mined = ("Pneumonia", "Mass|Infiltration", "No Finding", "Edema", "Hernia")
    names = [f"{number:08d}_000.png" for number in range(1, 6)]
    lines = [
        f"{name},{found},0,{number},50,F,PA\n"
        for number, (name, found) in enumerate(zip(names, mined, strict=True), 1)
    ]
    write_text(
        root / "nih/Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position\n" + "".join(lines),
    )
    write_text(
        root / "nih/rsna_opacity_boxes.csv",
        "Image Index,class,x,y,width,height\n"
        "00000001_000.png,No Lung Opacity / Not Normal,,,,\n"
        "00000002_000.png,Lung Opacity,1,2,3,4\n",
    )
    for name in names:
        write_image(root / "nih/images" / name)


def eye_gaze(root: Path) -> None:
    write_text(
        root / "master_sheet.csv",
        "dicom_id,path,study_id,patient_id,stay_id,gender,anchor_age,image_top_pad,"
        "image_bottom_pad,image_left_pad,image_right_pad,Normal,CHF,pneumonia,consolidation\n"
        "24c7-d763,files/p15/p15628804/s58573295/24c7-d763.dcm,58573295,15628804,33811834,F,"
        "20 - 30,86,86,448,448,0,1,0,0\n"
        "7871-264d,files/p19/p19462352/s51900589/7871-264d.dcm,51900589,19462352,32954494,M,"
        "70 - 80,0,0,534,534,1,0,0,0\n",
    )
    write_text(
        root / "fixations.csv",
        "SESSION_ID,MEDIA_ID,DICOM_ID,CNT,Time (in secs),FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,"
        "X_ORIGINAL,Y_ORIGINAL\n"
        "1,0,24c7-d763,68,1.5,0.44,0.29,0.74,0.5,3,1,952,884\n"
        "1,0,24c7-d763,45,0.75,0.45,0.34,0.02,0.5,2,1,998,1035\n"
        "1,0,24c7-d763,90,2.0,0.01,0.34,1.8,0.2,4,1,-1,-1\n",
    )
    write_text(
        root / "bounding_boxes.csv",
        "dicom_id,bbox_name,x1,x2,y1,y2\n"
        "24c7-d763,cardiac silhouette,1007.0,1743.0,1278.0,2040.0\n",
    )
    for side in ("left", "right"):
        write_image(root / f"audio_segmentation_transcripts/24c7-d763/{side}_lung.png", value=255)
    write_image(root / "files/p15/p15628804/s58573295/24c7-d763.dcm")


def folder(root: Path) -> None:
    for name in ("train/cats/P1_a.png", "train/Pleural_Effusion/P2_b.png", "val/cats/P3_c.png"):
        write_image(root / name)


def own_table(root: Path) -> None:
    write_text(
        root / "images.csv",
        "path,patient,sex,age_years,pneumonia,weight\nfilms/a.png,7,F,30,1,80\nfilms/b.png,07,,,,\n",
    )
    write_image(root / "films/a.png")


BUILDERS: dict[str, Builder] = {
    "adult_opacity": adult_opacity,
    "brain_mri": brain,
    "chest_multiclass": chest_multiclass,
    "chexlocalize": chexlocalize,
    "chexpert": chexpert,
    "covidx": covidx,
    "eye_gaze": eye_gaze,
    "folder": folder,
    "lung_masks": lung_masks,
    "mimic_cxr_jpg": mimic,
    "nih_chestxray14": nih,
    "padchest": padchest,
    "pediatric_pneumonia": pediatric,
    "rsna_pneumonia": rsna,
    "siim_acr": siim,
    "table": own_table,
    "vindr_cxr": vindr,
}


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a data set's tiny tree and returns its folder."""

    def build(name: str) -> Path:
        root = tmp_path / f"tree_of_{name}"
        BUILDERS[name](root)
        return root

    return build


@pytest.fixture(scope="session")
def tree_names() -> tuple[str, ...]:
    """The data sets that have a tiny tree."""
    return tuple(sorted(BUILDERS))


@pytest.fixture(scope="session")
def published_tables() -> Path:
    """The publishers' own tables that torchxrayvision carries, or a skip."""
    module = pytest.importorskip("importlib.util").find_spec("torchxrayvision")
    if module is None or module.origin is None:
        pytest.skip("torchxrayvision, which carries the publishers' tables, is not installed")
    return Path(module.origin).parent / "data"
