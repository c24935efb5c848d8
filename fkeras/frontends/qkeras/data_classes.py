"""The classes and functions that a model file may name: known to hold data and to compute, and nothing else.

None of them runs code out of its configuration, opens a file that it names, or calls what it is told to.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CALLS = frozenset({"SlicingOpLambda", "TFOpLambda"})
"""Layers that stand for a call of TensorFlow, such as `x + 1`; the function that they name must compute, too."""
LOOKUPS = frozenset({"IntegerLookup", "StringLookup", "TextVectorization"})
"""Layers whose vocabulary may be the name of a file."""

LAYERS = _names(
    """
    Activation ActivityRegularization Add AddLoss AddMetric AdditiveAttention AlphaDropout Attention Average
    AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization
    BatchNormalizationV1 BatchNormalizationV2 Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D
    Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D
    Cropping2D Cropping3D CuDNNGRU CuDNNLSTM Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU
    EinsumDense Embedding Flatten GRU GRUCell GRUCellV1 GRUCellV2 GRUV1 GRUV2 GaussianDropout GaussianNoise
    GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
    GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
    GlobalMaxPooling3D GroupNormalization HashedCrossing Hashing Identity InputLayer LSTM LSTMCell LSTMCellV1
    LSTMCellV2 LSTMV1 LSTMV2 LayerNormalization LeakyReLU LocallyConnected1D LocallyConnected2D Masking MaxPool1D
    MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum MultiHeadAttention Multiply
    Normalization PReLU Permute RNN RandomBrightness RandomContrast RandomCrop RandomFlip RandomHeight
    RandomRotation RandomTranslation RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
    SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax
    SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
    SyncBatchNormalization ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D
    UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
    """
)
INITIALIZERS = _names(
    """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal
    RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros constant glorot_normal glorot_uniform
    he_normal he_uniform identity lecun_normal lecun_uniform one ones orthogonal normal random_normal
    random_uniform truncated_normal uniform variance_scaling zero zeros
    """
)
REGULARIZERS = _names(
    """
    L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2 l2 orthogonal_regularizer
    """
)
CONSTRAINTS = _names(
    """
    MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm max_norm min_max_norm non_neg nonneg radial_constraint
    unit_norm
    """
)
ACTIVATIONS = _names(
    """
    elu exponential gelu hard_sigmoid linear mish relu selu sigmoid softmax softplus softsign swish tanh
    """
)
ACTIVATION_LAYERS = _names(
    """
    ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU
    """
)
QUANTIZERS = _names(
    """
    bernoulli binary quantized_bits quantized_hswish quantized_po2 quantized_relu quantized_relu_po2
    quantized_sigmoid quantized_tanh quantized_ulaw stochastic_binary stochastic_ternary ternary
    """
)
QUANTIZING_FUNCTIONS = _names(
    """
    binary_sigmoid binary_tanh hard_sigmoid hard_tanh smooth_sigmoid smooth_tanh stochastic_round
    stochastic_round_po2
    """
)
QKERAS = QUANTIZERS | _names(
    """
    Clip QActivation QAdaptiveActivation QAveragePooling2D QBatchNormalization QBidirectional QConv1D QConv2D
    QConv2DBatchnorm QConv2DTranspose QDense QDepthwiseConv2D QDepthwiseConv2DBatchnorm QGRU QGRUCell
    QGlobalAveragePooling2D QInitializer QLSTM QLSTMCell QSeparableConv1D QSeparableConv2D QSimpleRNN
    QSimpleRNNCell
    """
)
PRUNING = frozenset({"ConstantSparsity", "PolynomialDecay", "PruneLowMagnitude"})

HOMES = {
    "keras.initializers": INITIALIZERS,
    "keras.regularizers": REGULARIZERS,
    "keras.constraints": CONSTRAINTS,
    "keras.mixed_precision": frozenset({"Policy"}),
    "keras.layers": LAYERS | LOOKUPS,
    "keras": frozenset({"Model", "Sequential"}),
}
"""The public modules of Keras, and what is known in each."""
INTERNAL = {
    "Functional": "src.engine.functional",
    "SlicingOpLambda": "src.layers.core.tf_op_layer",
    "TFOpLambda": "src.layers.core.tf_op_layer",
}
"""Classes of Keras that have no public module, and their modules inside it."""

SINCE_2_14 = {"InputLayer": "optional", "MultiHeadAttention": "softmax_robust_masking"}
"""Arguments of layers that releases of Keras 2 after 2.14 write; where they are false older ones compute the same."""

_FUNCTIONS = _names(
    """
    abs add add_n argmax argmin argsort batch_to_space boolean_mask broadcast_to cast ceil clip_by_norm
    clip_by_value complex concat convert_to_tensor cos cosh cumsum depth_to_space divide einsum equal exp
    expand_dims eye fill floor gather gather_nd greater greater_equal identity less less_equal logical_and
    logical_not logical_or matmul maximum meshgrid minimum multiply negative norm not_equal one_hot ones ones_like
    pad pow range rank realdiv reduce_all reduce_any reduce_max reduce_mean reduce_min reduce_prod reduce_sum
    repeat reshape reverse roll round shape sigmoid sign sin sinh size slice sort space_to_batch space_to_depth
    split sqrt square squeeze stack stop_gradient strided_slice subtract tan tanh tensordot tile transpose truediv
    unstack where zeros zeros_like
    """
)
_FUNCTIONS_OF_NN = _names(
    """
    atrous_conv2d avg_pool avg_pool1d avg_pool2d avg_pool3d batch_normalization bias_add conv1d conv1d_transpose
    conv2d conv2d_transpose conv3d conv3d_transpose conv_transpose convolution crelu depth_to_space
    depthwise_conv2d dilation2d dropout elu embedding_lookup erosion2d gelu l2_loss l2_normalize leaky_relu
    local_response_normalization log_softmax lrn max_pool max_pool1d max_pool2d max_pool3d moments
    normalize_moments pool relu relu6 selu separable_conv2d sigmoid sigmoid_cross_entropy_with_logits silu softmax
    softmax_cross_entropy_with_logits softplus softsign space_to_batch space_to_depth
    sparse_softmax_cross_entropy_with_logits swish tanh top_k weighted_moments zero_fraction
    """
)
_COMPUTING_MODULES = ("__operators__", "linalg", "math", "math.special", "signal")
"""Modules of TensorFlow whose functions all compute from their arguments."""


def computes(symbol: str) -> bool:
    """Whether a name below `tf` is that of a function that computes from its arguments, and nothing else."""
    home, _, name = symbol.removeprefix("compat.v1.").rpartition(".")
    if home == "nn":
        return name in _FUNCTIONS_OF_NN
    return name.islower() and home in _COMPUTING_MODULES if home else name in _FUNCTIONS
