import pytest
from vitric.golden.spec.vit import VIT_CONFIGS, VitConfig, vit_config

LEGAL = {"image_size": 8, "patch_size": 4, "in_chans": 1, "num_classes": 10, "embed_dim": 16, "depth": 1,
         "num_heads": 2}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image_size": 0}, ValueError, "image_size must be between 1 and 1024, not 0"),
        ({"image_size": 8.0}, TypeError, "image_size must be an integer"),
        ({"patch_size": 9}, ValueError, "patch_size must be between 1 and 8, not 9"),
        ({"patch_size": 3}, ValueError, "multiple of patch_size, not 8 with patches of 3"),
        ({"in_chans": 0}, ValueError, "in_chans must be between 1 and 16"),
        ({"num_classes": 0}, ValueError, "num_classes must be between"),
        ({"embed_dim": 4097}, ValueError, "embed_dim must be between 1 and 4096"),
        ({"num_heads": 3}, ValueError, "embed_dim must be a multiple of num_heads, not 16 with 3 heads"),
        ({"depth": 65}, ValueError, "depth must be between 1 and 64"),
        ({"mlp_ratio": 0.3}, ValueError, "mlp_ratio must be positive and make"),
        ({"mlp_ratio": -1.0}, ValueError, "mlp_ratio must be positive"),
        ({"mlp_ratio": float("inf")}, ValueError, "mlp_ratio must be positive"),
        ({"mlp_ratio": "4"}, TypeError, "mlp_ratio must be a number"),
        ({"qkv_bias": "yes"}, ValueError, "qkv_bias must be one of False, True"),
        ({"mean": (0.5, 0.5)}, ValueError, "mean must hold 1 or in_chans = 1 numbers"),
        ({"mean": 0.5}, TypeError, "mean must be a tuple"),
        ({"std": (0.0,)}, ValueError, "std must hold numbers between"),
        ({"layer_norm_eps": "1e-6"}, TypeError, "layer_norm_eps must be a number"),
        ({"layer_norm_eps": 0.0}, ValueError, "layer_norm_eps must be above 0 and at most 1, not 0.0"),
        ({"layer_norm_eps": float("nan")}, ValueError, "layer_norm_eps must be above 0 and at most 1, not nan"),
    ],
)
def test_illegal_config(change, error, message):
    with pytest.raises(error, match=message):
        VitConfig(**LEGAL | change)


def test_config_round_trip_and_names():
    for config in VIT_CONFIGS.values():
        assert VitConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match=f"ViT config must be one of {', '.join(map(repr, VIT_CONFIGS))}, not 'large'"):
        vit_config("large")
    with pytest.raises(ValueError, match="has no parameter width"):
        VitConfig.from_dict(LEGAL | {"width": 1})
    with pytest.raises(ValueError, match="needs the parameter depth"):
        VitConfig.from_dict({name: value for name, value in LEGAL.items() if name != "depth"})
    with pytest.raises(TypeError, match="must be a mapping"):
        VitConfig.from_dict(None)
