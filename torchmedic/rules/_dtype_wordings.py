"""How PyTorch words that a number type is wrong. `given` is the type that came, `expected` the one beside it."""

from __future__ import annotations

PAIRS = (
    "mat1 and mat2 must have the same dtype, but got {given:word} and {expected:word}",
    "mat1 and self to have the same dtype, but got {given:word} and {expected:word}",
    "self and mat2 must have the same dtype, but got {given:word} and {expected:word}",
    "to have the same dtype, but got: {given} != {expected}",
    "Input type ({given}) and bias type ({expected}) should be the same",
    "Input type ({given}) and weight type ({expected}) should be the same",
    "RNN input dtype ({given:word}) does not match weight dtype ({expected:word})",
    "found input tensor with {given:word} and parameter tensor with {expected:word}",
    "found input tensor with {expected:word} and hidden tensor with {given:word}",
    "Type promoting not supported. Got {given:word} and {expected:word}",
    "Promotion for uint16, uint32, uint64 types is not supported, attempted to promote {given:word} and {expected:word}",
    "expected both vectors to have same dtype, but found {expected:word} and {given:word}",
    "All tensors must have the same dtype, got input1: {given}, input2: {expected}, weight: {third}",
    "All tensors must have the same dtype, got input1: {given:word}, input2: {expected:word}",
    "Input dtypes must be the same, got: input {given}, batch1: {expected}, batch2: {third}",
    "Input dtypes must be the same, got: input: {given:word}, batch1: {expected:word}, batch2: {third:word}",
    "addmv input tensors must have the same dtype, but got {given:word}, {expected:word}, and {third:word}",
    "to have the same dtype, but got query.dtype: {given} key.dtype: {expected} and value.dtype: {third} instead",
    "to match query dtype, but got attn_mask.dtype: {given} and query.dtype: {expected} instead",
    "Expected A and B to have the same dtype, but found A of type {expected:word} and B of type {given:word}",
    "but got input's dtype {expected:word} and other's dtype {given:word}",
    "all tensors must have be the same dtype but tensor 0 is {expected} and tensor {number:d} {given}",
    "Mismatch dtype between input and weight: input dtype = {given:word}, weight dtype = {expected:word}",
    "dtypes match, got {expected:word} for the destination and {given:word} for the source",
    "to have the same dtype, but got (self) {expected:word} and (source) {given:word}",
    "to have the same dtype, but got self.dtype = {expected:word} and source.dtype = {given:word}",
    "self ({expected:word}) and source ({given:word}) must have the same scalar type",
    "expected self and source to have same dtypes but got{expected} and {given:word}",
    "to have the same type as tensor for argument #{number:d} '{argument:word}'; but type {expected:word} does not "
    "equal {given:word}",
    "expected dtype {expected} for `{argument:word}` but got dtype {given}",
    "expected dtype {expected:word} for `{argument:word}`, but got dtype {given:word}",
    "Expected object of type {expected:word} but found type {given:word} for argument #{number:d} '{argument:word}'",
    "Expected object of scalar type {expected:word} but got scalar type {given:word} for argument #{number:d} "
    "'{argument:word}'",
    "expected scalar type {expected} but found {given:word}",
)
MIXED = (
    "mat1 and mat2 must have the same dtype",
    "both inputs should have same dtype",
    "meshgrid expects all tensors to have the same dtype",
    "q tensor must be same dtype as the input tensor",
    "mixed dtype (CPU)",
    "get_mkldnn_dtype: unsupported data type",
    "itensor_view_from_dense expects float, bfloat16 or half tensor input",
    "tensors must have the same dtype",
    "Expected self.dtype to be equal to src.dtype",
)
INDICES = (
    "'indices' to have one of the following scalar types: Long, Int; but got {given:word}",
    "'indices' to have scalar type Long; but got {given:word}",
)
LABELS = (
    "expected target dtype to be Long or Byte, but got {given:word}",
    "\"nll_loss_out_frame\" not implemented for '{given:word}'",
    "\"nll_loss_forward{kernel:word}\" not implemented for '{given:word}'",
    "\"nll_loss2d_forward{kernel:word}\" not implemented for '{given:word}'",
)
INDEX = (
    "Expected dtype int32/int64 for index",
    "Expected dtype int32 or int64 for index",
    "Expected dtype int64 for index",
    "Expected a long tensor for index, but got {given:word}",
    "dtype of indices should be Long but got {given:word}",
    "dtype of indices should be int but got {given:word}",
    "\"bincount{kernel:word}\" not implemented for '{given:word}'",
    "\"repeat_interleave{kernel:word}\" not implemented for '{given:word}'",
    "one_hot is only applicable to index tensor",
    "tensors used as indices must be long,",
)
MASK = (
    "only supports boolean masks, but got mask with dtype {given}",
    "only supports boolean masks, but got dtype {given}",
    "expected mask dtype to be Bool but got {given:word}",
    "expected condition to be a boolean tensor, but got a tensor with dtype {given:word}",
    "only bool and floating types of {argument:word} are supported",
    "expected BoolTensor for mask",
)
MINUS = (
    "the `-` operator, with a bool tensor is not supported",
    "the `-` operator, with two bool tensors is not supported",
    "the `-` operator, on a bool tensor is not supported",
)
WHOLE = (
    "Input dtype must be either a floating point or complex dtype. Got: {given:word}",
    "Can only calculate the mean of floating types. Got {given:word} instead",
    "Expected a floating point or complex tensor as input. Got {given:word}",
    "expected common dtype to be floating point, yet common dtype is {given:word}",
    "cdist only supports floating-point dtypes, X{number:d} got: {given:word}",
    "multinomial only supports floating-point dtypes for input, got: {given:word}",
    "Expected theta to have floating point type, but got {given:word}",
    "'weight' to have one of the following scalar types: {types}; but got {given:word}",
    "\"{kernel:word}\" not implemented for '{given:word}'",
)
