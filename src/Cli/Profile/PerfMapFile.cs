using System.Globalization;

namespace Dbt.Cli.Profile;

/// <summary>
/// Names of the process's compiled methods for Linux' perf (tools/perf/Documentation/jit-interface.txt): translations by the guest's function that they
/// begin in, all others as the runtime names them.
/// </summary>
internal static class PerfMapFile
{
    private const string Translation = "g_";

    /// <summary>Where perf looks for it.</summary>
    public static string DefaultPath(int process) => string.Create(CultureInfo.InvariantCulture, $"/tmp/perf-{process}.map");

    /// <summary>Writes it.</summary>
    /// <returns>How many translations are in it.</returns>
    /// <exception cref="IOException">It can't be written.</exception>
    public static int Write(string path, ProfileRecording recording, Symboliser symbols)
    {
        Dictionary<uint, CodePlace> places = [];
        foreach (TimedSample sample in recording.Samples.Where(sample => sample.Page >= 0))
        {
            places.TryAdd(sample.Record.Address, symbols.PlaceOf(sample));
        }

        // A place may have held another translation before: what was told last counts.
        int translations = 0;
        using var writer = new StreamWriter(path);
        foreach (HostMethod method in recording.Methods.AsEnumerable().Reverse().DistinctBy(method => method.Address).OrderBy(method => method.Address))
        {
            string name = method.Name;
            int at = name.LastIndexOf(Translation, StringComparison.Ordinal);
            if (at >= 0 && uint.TryParse(name.AsSpan(at + Translation.Length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint entry))
            {
                translations++;
                string? function = places.TryGetValue(entry, out CodePlace place) ? place.ToString() : symbols.NameOfKernel(entry);
                name = function is null ? $"guest:{entry:x8}" : $"guest:{entry:x8} {function}";
            }

            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{method.Address:x} {method.Size:x} {name}"));
        }

        return translations;
    }
}
