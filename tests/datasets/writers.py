"""Writers of tiny data sets in the formats of the readers: noisy sines, shifted by 5 in the abnormal rows; and a damage."""

import pickle

import numpy as np


def make_values(rows, channels, abnormal=(0, 0), seed=0):
    """Returns float64 (rows, channels) and the labels of the rows, int; the rows in `abnormal` are shifted."""
    generator = np.random.default_rng(seed)
    phase = generator.uniform(0, 6, channels)
    x = np.sin(np.arange(rows)[:, None] / 5 + phase) + generator.normal(0, 0.05, (rows, channels))
    label = np.zeros(rows, int)
    label[slice(*abnormal)] = 1
    return x + 5 * label[:, None], label


def write_skab(folder):
    """Three files of 600 rows, abnormal from row 500 on; `other/2` from row 104 on."""
    header = "datetime;Accelerometer1RMS;Accelerometer2RMS;Current;Pressure;Temperature;Thermocouple;Voltage"
    for seed, (name, first) in enumerate((("valve1/0", 500), ("valve2/0", 500), ("other/2", 104))):
        x, label = make_values(600, 8, (first, first + 60), seed)
        times = np.datetime64("2020-03-09T10:14:33") + np.arange(600)
        rows = zip(times, x.tolist(), label, strict=True)
        lines = [f"{str(time).replace('T', ' ')};{';'.join(map(repr, row))};{item}.0;0.0" for time, row, item in rows]
        file = folder / f"{name}.csv"
        file.parent.mkdir()
        file.write_text("\n".join([f"{header};Volume Flow RateRMS;anomaly;changepoint", *lines]) + "\n")
    (folder / "anomaly-free").mkdir()
    (folder / "anomaly-free" / "anomaly-free.csv").write_text("not read\n")


def write_smd(folder):
    """Two machines of 200 rows for training and 150 to test, of which 70 to 99 are abnormal."""
    for seed, name in enumerate(("machine-1-2", "machine-1-10")):
        for part, abnormal in (("train", 0), ("test", 30)):
            x, label = make_values(200 if part == "train" else 150, 38, (70, 70 + abnormal), seed)
            for kind, values in ((part, x), *([("test_label", label)] if part == "test" else [])):
                (folder / kind).mkdir(exist_ok=True)
                np.savetxt(folder / kind / f"{name}.txt", values, delimiter=",", fmt="%.6g")


def write_pickles(folder, name, channels):
    """One series of 250 rows for training and 220 to test, of which 110 to 139 are abnormal; labels are floats."""
    x, label = make_values(220, channels, (110, 140))
    values = {
        "train": make_values(250, channels)[0].astype(np.float32),
        "test": x.astype(np.float32),
        "test_label": label * 1.0,
    }
    for part, array in values.items():
        (folder / f"{name}_{part}.pkl").write_bytes(pickle.dumps(array))


def write_smd_pickles(folder):
    """SMD in pickles."""
    write_pickles(folder, "machine-1-1", 38)


def write_asd(folder):
    """ASD."""
    write_pickles(folder, "omi-1", 19)


def write_telemanom(folder):
    """Two channels of SMAP and one of MSL, of 200 rows for training and 250 to test; P-2 is listed twice, T-10 is not."""
    for part, rows in (("train", 200), ("test", 250)):
        (folder / part).mkdir()
        for name, channels in (("P-2", 25), ("P-10", 25), ("T-10", 25), ("C-1", 55)):
            np.save(folder / part / f"{name}.npy", make_values(rows, channels, (120, 130 if part == "test" else 120))[0])
    (folder / "labeled_anomalies.csv").write_text(
        "chan_id,spacecraft,anomaly_sequences,class,num_values\n"
        'P-10,SMAP,"[[120, 129]]",[point],250\n'
        'P-2,SMAP,"[[20, 22], [120, 129]]","[point, point]",250\n'
        'C-1,MSL,"[[120, 129]]",[point],250\n'
        'P-2,SMAP,"[[22, 24]]",[point],250\n'
    )


def write_tep(folder):
    """The normal training recording and the test recordings of normal operation and of the faults 1 and 10."""
    np.savetxt(folder / "d00.dat", make_values(500, 52)[0].T, fmt="%.4e", delimiter="  ")
    for number in (0, 1, 10):
        x, _ = make_values(960, 52, (160, 960 if number else 160), number)
        np.savetxt(folder / f"d{number:02}_te.dat", x, fmt="%.4e", delimiter="  ")


def write_tsb_ad(folder):
    """Two files of 3 channels and 500 rows, of which 300 are for training and 350 to 369 are abnormal."""
    for seed, name in enumerate(("002_Pump_id_1_Sensor_tr_300_1st_350", "010_Pump_id_9_Sensor_tr_300_1st_350")):
        x, label = make_values(500, 3, (350, 370), seed)
        lines = [f"{','.join(map(repr, row))},{item}" for row, item in zip(x.tolist(), label, strict=True)]
        (folder / f"{name}.csv").write_text("\n".join(["a,b,c,Label", *lines]) + "\n")


WRITERS = {
    "skab": write_skab,
    "smd": write_smd,
    "smap": write_telemanom,
    "msl": write_telemanom,
    "asd": write_asd,
    "tep": write_tep,
    "tsb_ad": write_tsb_ad,
}


def replace_line(number, change):
    """Returns a function that replaces a line of a file, counted from 1, by those that `change` returns for it."""

    def damage(file):
        text = file.read_text().splitlines()
        text[number - 1 : number] = change(text[number - 1])
        file.write_text("\n".join(text) + "\n")

    return damage
