// The page of `vitric demo`: an image goes to the server, its answer is shown.
const $ = id => document.getElementById(id)
const token = new URLSearchParams(location.search).get("token")
const headers = token ? {"X-Token": token} : {}
let about = null, drawn = false, busy = false, waiting = null, camera = null

async function ask(path, options = {}) {
  const reply = await fetch(path, {...options, headers})
  const said = await reply.json().catch(() => ({error: `the server answered with status ${reply.status}`}))
  if (!reply.ok) throw new Error(said.error)
  return said
}

function say(text, bad = false) {
  $("message").textContent = text
  $("message").className = bad ? "bad" : "hint"
  $("message").hidden = !text
}

// What the server is, and whether it is ready; asked again until it is, and again when it went away.
async function connect() {
  try {
    about = await ask("about")
    $("project").textContent = `· ${about.project}`
    $("state").textContent = about.text
    $("board").hidden = $("clear").hidden = !about.draws
    $("hint").textContent = about.hint
    $("camera").hidden = !navigator.mediaDevices?.getUserMedia
    $("run").disabled = !about.ready || busy
    setTimeout(connect, about.ready ? 5000 : 1000)
  } catch (error) {
    $("state").textContent = error instanceof TypeError ? "the server is away; trying again" : error.message
    $("run").disabled = true
    setTimeout(connect, 1000)
  }
}

// Drawing: white on black, a round pen.
const canvas = $("canvas"), pen = canvas.getContext("2d", {willReadFrequently: true})
const cursor = {x: 160, y: 160}
function clear() {
  pen.fillStyle = "#000"
  pen.fillRect(0, 0, canvas.width, canvas.height)
  drawn = false
}
function line(x0, y0, x1, y1) {
  pen.strokeStyle = "#fff"
  pen.lineWidth = 44
  pen.lineCap = pen.lineJoin = "round"
  pen.beginPath()
  pen.moveTo(x0, y0)
  pen.lineTo(x1, y1)
  pen.stroke()
  drawn = true
}
function at(event) {
  const box = canvas.getBoundingClientRect()
  return [(event.clientX - box.left) * canvas.width / box.width, (event.clientY - box.top) * canvas.height / box.height]
}
let last = null
canvas.addEventListener("pointerdown", event => {
  canvas.setPointerCapture(event.pointerId)
  last = at(event)
  line(...last, ...last)
})
canvas.addEventListener("pointermove", event => {
  if (!last) return
  const next = at(event)
  line(...last, ...next)
  last = next
})
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => {
  if (last && drawn) run()
  last = null
})
canvas.addEventListener("keydown", event => {
  const moves = {ArrowLeft: [-16, 0], ArrowRight: [16, 0], ArrowUp: [0, -16], ArrowDown: [0, 16]}
  if (event.key in moves) {
    const [dx, dy] = moves[event.key], {x, y} = cursor
    cursor.x = Math.min(304, Math.max(16, x + dx))
    cursor.y = Math.min(304, Math.max(16, y + dy))
    if (event.shiftKey) line(x, y, cursor.x, cursor.y)
    canvas.setAttribute("aria-description", `column ${cursor.x / 16}, row ${cursor.y / 16}`)
  } else if (event.key === " ") line(cursor.x, cursor.y, cursor.x, cursor.y)
  else if (event.key === "Enter") run()
  else if (event.key === "Escape" || event.key === "c") clear()
  else return
  event.preventDefault()
})
$("clear").addEventListener("click", clear)
$("run").addEventListener("click", () => run())

// Files, drops, the camera.
$("file").addEventListener("change", () => { if ($("file").files[0]) send($("file").files[0], "run") })
for (const name of ["dragover", "dragleave", "drop"]) document.addEventListener(name, event => {
  event.preventDefault()
  document.body.classList.toggle("over", name === "dragover")
  if (name === "drop" && event.dataTransfer.files[0]) send(event.dataTransfer.files[0], "run")
})
$("camera").addEventListener("click", async () => {
  try {
    camera ??= await navigator.mediaDevices.getUserMedia({video: true})
    $("video").srcObject = camera
    $("video").hidden = false
    await $("video").play()
    $("camera").textContent = "Take it"
    if ($("video").readyState >= 2 && $("camera").dataset.on) snap()
    $("camera").dataset.on = "1"
  } catch (error) { say(`no camera: ${error.message}`, true) }
})
function snap() {
  const sheet = document.createElement("canvas"), video = $("video")
  sheet.width = video.videoWidth
  sheet.height = video.videoHeight
  sheet.getContext("2d").drawImage(video, 0, 0)
  sheet.toBlob(blob => send(blob, "run"), "image/png")
}

function run() {
  if (!drawn) return say("nothing is drawn", true)
  canvas.toBlob(blob => send(blob, "run?drawn"), "image/png")
}

async function send(blob, path) {
  if (busy) {
    waiting = [blob, path]  // the newest one is run next
    return
  }
  busy = $("run").disabled = true
  say("sending")
  try {
    const {job} = await ask(path, {method: "POST", body: blob})
    for (;;) {
      const said = await ask(`job/${job}`)
      if (said.answer) { show(said.answer); break }
      say(said.running ? "running" : said.place ? `${said.place} before this one` : "next")
      $("progress").hidden = !said.running
      $("progress").value = Math.min(1, said.cycles / about.predicted_cycles)
      await new Promise(done => setTimeout(done, 50))
    }
    say("")
  } catch (error) {
    say(error instanceof TypeError ? "the server went away; the image was not run" : error.message, true)
  }
  busy = false
  $("progress").hidden = true
  $("run").disabled = !about?.ready
  if (waiting) {
    const next = waiting
    waiting = null
    send(...next)
  }
}

function show(answer) {
  $("answer").hidden = false
  $("class").textContent = answer.best[0].label
  $("equal").className = answer.equal ? "good" : "bad"
  const values = answer.compared === null ? "" : answer.differ
    ? `, ${answer.differ} of ${answer.compared} values differ` : `, as are all ${answer.compared} values on the way`
  $("equal").textContent = answer.equal ? `the integer model says ${answer.golden}: its logits are equal${values}`
    : `not what the integer model says (${answer.golden})${values}`
  $("pixels").src = answer.seen
  $("attention").src = answer.attention
  const most = Math.max(...answer.best.map(one => one.probability ?? Math.abs(one.logit)), 1e-9)
  $("bars").replaceChildren(...answer.best.map(one => {
    const row = document.createElement("li"), name = document.createElement("span"), track = document.createElement("div")
    const bar = document.createElement("i"), value = document.createElement("b")
    name.textContent = one.label
    bar.style.width = `${Math.max(0, 100 * (one.probability ?? one.logit) / most)}%`
    value.textContent = one.probability === null ? one.logit : `${(100 * one.probability).toFixed(1)} %  (${one.logit})`
    track.append(bar)
    row.append(name, track, value)
    return row
  }))
  const rate = answer.clock_mhz * 1e6 / answer.cycles
  $("cycles").textContent = `${answer.cycles.toLocaleString()} cycles on the ${answer.machine}: ${answer.microseconds} µs `
    + `at ${answer.clock_mhz} MHz, ${rate.toFixed(rate < 100 ? 1 : 0)} images per second`
    + (answer.notes.length ? ` (${answer.notes.join(", ")})` : "")
  $("engines").hidden = !answer.engines
  if (answer.engines) gantt(answer.engines, answer.cycles)
}

// Engines over cycles; what is under the pointer is told below.
const palette = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf",
  "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5"]
let bars = []
function gantt({names, stretches}, cycles) {
  const sheet = $("gantt"), width = sheet.width = sheet.clientWidth * devicePixelRatio, left = 110 * devicePixelRatio
  const height = sheet.height = 20 * names.length * devicePixelRatio, row = height / names.length
  const ink = sheet.getContext("2d"), kinds = [...new Set(stretches.map(one => one[1]))]
  ink.font = `${12 * devicePixelRatio}px system-ui, sans-serif`
  ink.fillStyle = getComputedStyle(document.body).color
  ink.textBaseline = "middle"
  names.forEach((name, place) => ink.fillText(name, 0, (place + .5) * row))
  bars = stretches.map(([engine, kind, begin, end]) => {
    const x = left + (width - left) * begin / cycles, wide = Math.max(1, (width - left) * (end - begin) / cycles)
    ink.fillStyle = palette[kinds.indexOf(kind) % palette.length]
    ink.fillRect(x, engine * row + row * .12, wide, row * .76)
    return {x, wide, y: engine * row, row, text: `${names[engine]}: ${kind}, cycles ${begin} to ${end}`}
  })
  $("under").textContent = "point at a bar"
}
$("gantt").addEventListener("pointermove", event => {
  const x = event.offsetX * devicePixelRatio, y = event.offsetY * devicePixelRatio
  const found = bars.find(bar => x >= bar.x && x <= bar.x + bar.wide && y >= bar.y && y <= bar.y + bar.row)
  if (found) $("under").textContent = found.text
})

clear()
connect()
