using System.Text.Json;
using System.Text.Json.Nodes;
using Dbt.Translator.Diagnostics;

namespace Dbt.Cli.Profile;

/// <summary>
/// A recording in speedscope's format: a profile for each processor. There are no call stacks of the guest, so a stack is what a sample
/// lies in: user or kernel, image, function, block; or hypervisor and what it did.
/// </summary>
internal static class SpeedscopeFile
{
    /// <summary>Writes it.</summary>
    /// <exception cref="IOException">It can't be written.</exception>
    public static void Write(string path, ProfileRecording recording, Symboliser symbols, string guest) =>
        File.WriteAllText(path, ToJson(recording, symbols, guest).ToJsonString(new JsonSerializerOptions { WriteIndented = false }));

    /// <summary>As JSON.</summary>
    public static JsonObject ToJson(ProfileRecording recording, Symboliser symbols, string guest)
    {
        var numbers = new Dictionary<string, int>();
        var frames = new JsonArray();
        var profiles = new JsonArray();
        foreach ((int processor, string name) in recording.Processors.OrderBy(pair => pair.Key))
        {
            var samples = new JsonArray();
            var weights = new JsonArray();
            long end = 0;
            foreach (TimedSample sample in recording.Samples.Where(sample => sample.Record.Processor == processor))
            {
                samples.Add(new JsonArray([.. StackOf(sample, symbols).Select(frame => JsonValue.Create(Number(frame)))]));
                weights.Add(sample.Record.Weight);
                end += sample.Record.Weight;
            }

            profiles.Add(new JsonObject
            {
                ["type"] = "sampled",
                ["name"] = name,
                ["unit"] = "microseconds",
                ["startValue"] = 0,
                ["endValue"] = end,
                ["samples"] = samples,
                ["weights"] = weights,
            });
        }

        return new JsonObject
        {
            ["$schema"] = "https://www.speedscope.app/file-format-schema.json",
            ["exporter"] = "dbt profile",
            ["name"] = guest,
            ["activeProfileIndex"] = 0,
            ["shared"] = new JsonObject { ["frames"] = frames },
            ["profiles"] = profiles,
        };

        int Number(string frame)
        {
            if (!numbers.TryGetValue(frame, out int number))
            {
                numbers.Add(frame, number = frames.Count);
                frames.Add(new JsonObject { ["name"] = frame });
            }

            return number;
        }
    }

    private static string[] StackOf(TimedSample sample, Symboliser symbols)
    {
        string what = ProfileSummary.NameOf(sample.Record);
        if (!ProfileSummary.IsGuest((ProcessorActivity)sample.Record.Doing))
        {
            return [what];
        }

        CodePlace place = symbols.PlaceOf(sample);
        return [sample.Record.Cpl == 3 ? "user" : "kernel", place.Image, place.ToString(), $"{sample.Record.Address:x8} {what["guest: ".Length..]}"];
    }
}
