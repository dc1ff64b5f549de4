const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const day = {day: "numeric", month: "short", year: "numeric"};
const form = new Intl.DateTimeFormat([], {...day, hour: "2-digit", minute: "2-digit", timeZoneName: "short"});
if (zone && zone !== "UTC") {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (isNaN(moment)) continue;
    time.title = time.textContent;
    time.textContent = form.format(moment);
  }
  document.querySelector(".zone").textContent = `Local times are those of ${zone}: point at one for UTC.`;
}
