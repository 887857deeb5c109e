% Read a bundle with GNU Octave alone: octave -qf reader.m BUNDLE.h5
% For bundles from people you trust: of the form of the file (section 3) it checks nothing.
% Octave shows dimensions reversed: /pairs/latents is K x D in the format and D x K here, a column for each pair.
% Octave's load cannot read attributes and UTF-8 strings, so these are found in the file's bytes: the manifest is
% stored in one piece, and begins with {"content":{ because it is canonical. Arrays are read with load.
1; % a script, not a function file
function refuse(varargin)
  fprintf(stderr, "refused: %s\n", sprintf(varargin{:}));
  exit(1);
end

path = argv(){end};
bytes = fileread(path);
ascii = bytes;
ascii(bytes > 127) = "?"; % regexp wants UTF-8, which the file as a whole is not
format = regexp(ascii, "(?<![_A-Za-z])format\\0.{1,80}?rosetta-bundle", "once");
version = regexp(ascii, "format_version\\0.{1,80}?(\\d{1,3}\\.\\d{1,3})", "tokens", "once");
if isempty(format) || isempty(version), refuse("not a bundle"); end
if ! strncmp(version{1}, "1.", 2), refuse("its format is %s, and this program knows 1", version{1}); end

% The content ends at the brace that leads back to depth 1, the manifest at the one that leads to depth 0.
start = strfind(bytes, '{"content":{');
if isempty(start), refuse("there is no manifest"); end
range = start(1) : min(numel(bytes), start(1) + 4 * 2^20); % no manifest is longer
text = bytes(range);
at = regexp(ascii(range), '"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}]');
depth = cumsum((text(at) == "{") - (text(at) == "}"));
text_end = at(find(depth == 0, 1));
content_end = at(find(text(at) == "}" & depth == 1, 1));
manifest = jsondecode(text(1:text_end), "makeValidName", false);
if ! strcmp(manifest.format_version, version{1}), refuse("attribute and manifest name different versions"); end
if isfield(manifest, "requires") && ! isempty(manifest.requires), refuse("it requires what I do not know"); end
content = text(length('{"content":') + 1 : content_end);
if ! strcmp(hash("sha256", ["rosetta-content-v1\n", content]), manifest.content_id)
  refuse("the content has another digest");
end

% Of the arrays, those of pairs and space: load changes other names, where they hold a full stop.
groups = load("-hdf5", path, "pairs", "space");
casts = struct("f4", @single, "f8", @double, "u1", @uint8, "i4", @int32, "i8", @int64);
for name = fieldnames(manifest.content.arrays)'
  parts = strsplit(name{1}, "/");
  if ! any(strcmp(parts{2}, {"pairs", "space"})), continue; end
  entry = manifest.content.arrays.(name{1});
  values = casts.(entry.dtype)(groups.(parts{2}).(parts{3})(:)); % load makes f4 double
  header = sprintf('{"dtype":"%s","shape":[%s]}', entry.dtype, sprintf(",%d", entry.shape)(2:end));
  if ! strcmp(hash("sha256", ["rosetta-array-v1\n", header, "\n", char(typecast(values, "uint8")(:)')]), entry.sha256)
    refuse("%s has another digest than the manifest says", name{1});
  end
end
pairs = groups.pairs;
% What the encoder sees: where inputs are stored in 8 bits, the numbers that the levels stand for (in double here).
inputs = double(pairs.inputs);
if isfield(manifest.content.input, "stored_range")
  span = manifest.content.input.stored_range;
  inputs = span(1) + inputs * (span(2) - span(1)) / 255;
end
first = sprintf(",%.17g", pairs.latents(:, 1))(2:end);
summary = ['{"content_id":"%s","n_anchors":%d,"n_checks":%d,"n_dims":%d,"first_latent":[%s],' ...
           '"last_number":%.17g,"title":%s}'];
printf([summary "\n"], manifest.content_id, sum(pairs.roles == 0), sum(pairs.roles == 1), ...
       rows(pairs.latents), first, inputs(end), jsonencode(manifest.provenance.title));
