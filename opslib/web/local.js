const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const day = {day: "numeric", month: "short", year: "numeric"};
const form = new Intl.DateTimeFormat([], {...day, hour: "2-digit", minute: "2-digit", timeZoneName: "short"});
const times = document.querySelectorAll("time[datetime]");
if (zone && zone !== "UTC" && times.length) {
  for (const time of times) {
    const moment = new Date(time.dateTime);
    if (isNaN(moment)) continue;
    time.title = time.textContent;
    time.textContent = form.format(moment);
  }
  document.querySelector(".zone").textContent = `Local times are those of ${zone}: point at one for UTC.`;
}
