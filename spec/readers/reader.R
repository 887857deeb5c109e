# Read a bundle with hdf5r, jsonlite and openssl: Rscript reader.R BUNDLE.h5
# For bundles from people you trust: of the form of the file (section 3) it checks nothing.
# R shows dimensions reversed: /pairs/latents is K x D in the format and D x K here, a column for each pair.
suppressPackageStartupMessages(library(hdf5r))
CODES <- c(H5T_IEEE_F32LE = "f4", H5T_IEEE_F64LE = "f8",
           H5T_STD_U8LE = "u1", H5T_STD_I32LE = "i4", H5T_STD_I64LE = "i8")

refuse <- function(...) stop("refused: ", ..., call. = FALSE)
sha256 <- function(...) paste(openssl::sha256(c(...)))

path <- commandArgs(trailingOnly = TRUE)[1]
bundle <- H5File$new(path, "r")
version <- trimws(h5attr(bundle, "format_version"))
if (trimws(h5attr(bundle, "format")) != "rosetta-bundle") refuse("not a bundle")
if (!startsWith(version, "1.")) refuse("its format is ", version, ", and this program knows 1")

# Every dataset is contiguous, so its bytes are cut out of the file as they are: text with its UTF-8, i8 exactly.
bytes_of <- function(dataset) {
  connection <- file(path, "rb")
  on.exit(close(connection))
  seek(connection, dataset$get_offset())
  readBin(connection, "raw", dataset$get_storage_size())
}

bytes <- bytes_of(bundle[["manifest"]])
bytes <- bytes[bytes != 0] # zero bytes pad the end; JSON text holds none
text <- rawToChar(bytes)
Encoding(text) <- "UTF-8"
manifest <- jsonlite::fromJSON(text)
if (manifest$format_version != version) refuse("attribute and manifest name different versions")
if (length(manifest$requires)) refuse("it requires ", toString(manifest$requires))

# The manifest is canonical, so its content stands first, up to the brace that leads back to depth 1.
at <- gregexpr("\"[^\"\\\\]*+(?:\\\\.[^\"\\\\]*+)*+\"|[{}]", text, perl = TRUE, useBytes = TRUE)[[1]]
token <- bytes[at]
depth <- cumsum((token == charToRaw("{")) - (token == charToRaw("}")))
end <- at[which(token == charToRaw("}") & depth == 1)[1]]
content <- bytes[(nchar('{"content":') + 1):end]
if (sha256(charToRaw("rosetta-content-v1\n"), content) != manifest$content_id) refuse("the content has another digest")

header_of <- function(code, shape) {
  shape <- paste(format(shape, scientific = FALSE, trim = TRUE), collapse = ",") # 100000, not 1e+05
  sprintf('{"dtype":"%s","shape":[%s]}', code, shape)
}
for (name in names(manifest$content$arrays)) {
  dataset <- bundle[[name]]
  entry <- manifest$content$arrays[[name]]
  header <- header_of(CODES[dataset$get_type()$to_text()], rev(dataset$dims))
  if (header != header_of(entry$dtype, entry$shape)) refuse(name, " is ", header)
  found <- sha256(charToRaw(paste0("rosetta-array-v1\n", header, "\n")), bytes_of(dataset))
  if (found != entry$sha256) refuse(name, " has another digest than the manifest says")
}
roles <- bundle[["pairs/roles"]]$read()
latents <- matrix(bundle[["pairs/latents"]]$read(), nrow = manifest$content$space$n_dims)
# What the encoder sees: where inputs are stored in 8 bits, the numbers that the levels stand for (in double here).
inputs <- bundle[["pairs/inputs"]]$read()
span <- manifest$content$input$stored_range
if (length(span)) inputs <- span[1] + inputs * (span[2] - span[1]) / 255
summary <- list(content_id = manifest$content_id, n_anchors = sum(roles == 0), n_checks = sum(roles == 1),
                n_dims = nrow(latents), first_latent = I(latents[, 1]),
                last_number = as.numeric(inputs[length(inputs)]), title = manifest$provenance$title)
writeLines(enc2utf8(jsonlite::toJSON(summary, auto_unbox = TRUE, digits = I(17))), useBytes = TRUE)
