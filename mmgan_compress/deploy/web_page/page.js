// Runs end2end.onnx on pictures, on videos and on the camera.
'use strict';

const LEAST_SIDE = 16; // px, as in Python
const THREADS = 4; // more gain little on pictures of this size

const $ = (id) => document.getElementById(id);
const video = document.createElement('video');
video.muted = true;
video.playsInline = true;
const pen = $('input').getContext('2d', {willReadFrequently: true});
let session; // of ONNX Runtime
let shape; // (N, H, W, channels) of its input; null where a side is free
let multiple; // of free sides
let channels; // of input and output: 1 (grey), 3 (RGB) or 4 (RGBA)
let shown = 0; // counts what was chosen: an earlier one stops
let about; // the runtime and the model

async function load() {
  const facts = await (await fetch('end2end.json')).json();
  shape = JSON.parse(facts.input_shape);
  channels = JSON.parse(facts.channels);
  multiple = Number(facts.size_multiple);
  // threads share memory, which a browser allows on isolated pages alone
  ort.env.wasm.numThreads = self.crossOriginIsolated
    ? Math.min(THREADS, navigator.hardwareConcurrency) : 1;
  session = await ort.InferenceSession.create('end2end.onnx', {executionProviders: ['wasm']});
  const [from, to] = JSON.parse(facts.domains);
  $('title').textContent = `${from} to ${to}`;
  $('side').value = facts.image_size;
  $('sides').hidden = shape[1] !== null;
  about = `ONNX Runtime Web ${ort.env.versions.web}, ` +
    `${ort.env.wasm.numThreads} thread(s); ${facts.made_by}`;
  $('status').textContent = about;
  document.body.dataset.ready = 'yes';
}

function sidesFor(width, height) {
  if (shape[1] !== null) return [shape[2], shape[1]];
  const scale = Math.min(1, Number($('side').value) / Math.max(width, height));
  const least = Math.ceil(LEAST_SIDE / multiple) * multiple;
  return [width, height].map(
    (side) => Math.max(least, Math.round(side * scale / multiple) * multiple));
}

function toPixels(rgba, count) {
  if (count === 4) return new Uint8Array(rgba.buffer);
  const pixels = new Uint8Array(rgba.length / 4 * count);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    if (count === 3) {
      pixels[to++] = rgba[from];
      pixels[to++] = rgba[from + 1];
      pixels[to++] = rgba[from + 2];
    } else { // ITU-R 601, rounded as Pillow does
      const [r, g, b] = [rgba[from], rgba[from + 1], rgba[from + 2]];
      pixels[to++] = (19595 * r + 38470 * g + 7471 * b + 32768) >> 16;
    }
  }
  return pixels;
}

function toImage(pixels, count, width, height) {
  const image = new ImageData(width, height);
  for (let to = 0, from = 0; to < image.data.length; to += 4, from += count) {
    for (let colour = 0; colour < 3; colour++) {
      image.data[to + colour] = pixels[from + (count === 1 ? 0 : colour)];
    }
    image.data[to + 3] = count === 4 ? pixels[from + 3] : 255;
  }
  return image;
}

// Translates what can be drawn; returns the milliseconds from canvas to canvas.
async function translate(picture, pictureWidth, pictureHeight) {
  const [width, height] = sidesFor(pictureWidth, pictureHeight);
  Object.assign($('input'), {width, height}); // clears it
  if (channels[0] < 4) { // transparent parts are laid on white
    pen.fillStyle = 'white';
    pen.fillRect(0, 0, width, height);
  }
  pen.drawImage(picture, 0, 0, width, height);
  const begin = performance.now();
  const pixels = toPixels(pen.getImageData(0, 0, width, height).data, channels[0]);
  const tensor = new ort.Tensor('uint8', pixels, [1, height, width, channels[0]]);
  const result = (await session.run({[session.inputNames[0]]: tensor}))[session.outputNames[0]];
  const [, outHeight, outWidth, count] = result.dims;
  Object.assign($('output'), {width: outWidth, height: outHeight});
  $('output').getContext('2d').putImageData(
    toImage(result.data, count, outWidth, outHeight), 0, 0);
  for (const canvas of [$('input'), $('output')]) {
    canvas.style.aspectRatio = `${pictureWidth} / ${pictureHeight}`;
  }
  $('before').textContent = `${pictureWidth}x${pictureHeight}, taken as ${width}x${height}`;
  $('pictures').hidden = false;
  return performance.now() - begin;
}

async function showPicture(blob) {
  const picture = await createImageBitmap(blob);
  const run = () => translate(picture, picture.width, picture.height);
  await run(); // the first run of a size prepares the others
  const milliseconds = await run();
  $('after').textContent = `${milliseconds.toFixed(1)} ms`;
  $('save').hidden = false;
}

async function showVideo(source) {
  const mine = shown;
  Object.assign(video, source);
  await video.play();
  $('stop').hidden = false;
  const times = []; // of the last second, with how many frames the source had given
  while (mine === shown && !video.ended) {
    const given = video.getVideoPlaybackQuality().totalVideoFrames;
    if (given !== times.at(-1)?.[1]) { // else the frame is translated already
      const milliseconds = await translate(video, video.videoWidth, video.videoHeight);
      const now = performance.now();
      times.push([now, given]);
      while (times.length > 2 && now - times[0][0] > 1000) times.shift();
      const rate = (count) => Number((1000 * count / (now - times[0][0])).toPrecision(2));
      $('after').textContent = `${milliseconds.toFixed(1)} ms` + (times.length > 1
        ? `, ${rate(times.length - 1)} of ${rate(given - times[0][1])} frames a second` : '');
      $('status').textContent = about;
    }
    await paint();
  }
  $('save').hidden = false;
  if (mine === shown) stop();
}

function stop() {
  shown++;
  video.pause();
  for (const track of video.srcObject ? video.srcObject.getTracks() : []) track.stop();
  if (video.src) URL.revokeObjectURL(video.src);
  video.srcObject = null;
  video.removeAttribute('src');
  $('stop').hidden = true;
}

// Lets the browser show what was written.
function paint() {
  return new Promise(requestAnimationFrame);
}

// Does what was asked for once the model is there, and says what went wrong.
async function attempt(what, failure) {
  stop();
  const mine = shown;
  $('message').textContent = '';
  if (!await ready || mine !== shown) return;
  $('status').textContent = 'Working ...';
  await paint();
  await paint(); // the first comes before it is shown
  try {
    await what();
  } catch (error) {
    if (mine !== shown) return; // something else was chosen since
    stop();
    $('pictures').hidden = $('save').hidden = true; // they are of an earlier file
    $('message').textContent = `${failure} (${error.message || error})`;
  }
  $('status').textContent = about;
}

function openFile(file) {
  if (!file) return;
  const isVideo = file.type.startsWith('video/');
  attempt(
    () => isVideo ? showVideo({src: URL.createObjectURL(file)}) : showPicture(file),
    `${file.name} cannot be shown: expected a picture or a video that this browser plays.`);
}

function openCamera() {
  attempt(async () => {
    const srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
    await showVideo({srcObject});
  }, 'The camera cannot be used: allow it for this page, which must come by https ' +
    'or from this machine.');
}

function save() {
  $('output').toBlob((blob) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = 'translated.png';
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

$('file').onchange = () => openFile($('file').files[0]);
$('side').onchange = () => openFile($('file').files[0]);
$('camera').onclick = openCamera;
$('stop').onclick = stop;
$('save').onclick = save;
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  openFile(event.dataTransfer.files[0]);
};
const ready = load().then(() => true, (error) => {
  $('status').textContent = '';
  $('message').textContent = `The model cannot be loaded (${error.message || error}). ` +
    'A browser loads it from a web server only: mmgan-compress page --web FOLDER.';
});
