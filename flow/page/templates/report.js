// A table's search field hides the rows without its words.
for (const field of document.querySelectorAll("input[type=search]")) {
  const rows = [...field.parentElement.querySelectorAll("tbody tr")]
  const texts = rows.map(row => row.textContent.toLowerCase())
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean)
    rows.forEach((row, place) => { row.hidden = !words.every(word => texts[place].includes(word)) })
  })
}
