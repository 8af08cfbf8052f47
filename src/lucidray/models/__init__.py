"""Classifiers and segmenters: backbones, heads, weights to start from, what may train."""

from lucidray.models.backbones import Backbone, backbones, card, create_backbone, normalization
from lucidray.models.baseline_cnn import BaselineCNN
from lucidray.models.classifier import Classifier, build_model
from lucidray.models.detector import Detector, Seen, Truth, build_detector
from lucidray.models.freezing import (
    FREEZING_POLICIES,
    FreezingPolicy,
    ParameterCount,
    Split,
    count_as_keras_resnet,
    count_parameters,
    freeze,
    split_at_frozen,
)
from lucidray.models.gaze_fusion import GazeClassifier, GazeSpec, build_gaze_classifier
from lucidray.models.gaze_graph import GazeGraph
from lucidray.models.gaze_unet import GazeUNet, Seeing, gaze_density
from lucidray.models.heads import Pool, build_head
from lucidray.models.layers import Layer, layers
from lucidray.models.region import RegionSpec
from lucidray.models.segmenter import Segmenter, build_segmenter
from lucidray.models.spec import ModelSpec
from lucidray.models.stages import Stage, last_block, stages
from lucidray.models.two_branch import RegionClassifier, build_region_classifier
from lucidray.models.weights import load_weights
from lucidray.models.xrv_weights import XRV_FILES, read_xrv_weights

__all__ = [
    "Backbone",
    "BaselineCNN",
    "Classifier",
    "Detector",
    "FREEZING_POLICIES",
    "FreezingPolicy",
    "GazeClassifier",
    "GazeGraph",
    "GazeSpec",
    "GazeUNet",
    "Layer",
    "ModelSpec",
    "ParameterCount",
    "Pool",
    "RegionClassifier",
    "RegionSpec",
    "Seeing",
    "Seen",
    "Segmenter",
    "Split",
    "Stage",
    "Truth",
    "XRV_FILES",
    "backbones",
    "build_detector",
    "build_gaze_classifier",
    "build_head",
    "build_model",
    "build_region_classifier",
    "build_segmenter",
    "card",
    "count_as_keras_resnet",
    "count_parameters",
    "create_backbone",
    "freeze",
    "gaze_density",
    "last_block",
    "layers",
    "load_weights",
    "normalization",
    "read_xrv_weights",
    "split_at_frozen",
    "stages",
]
