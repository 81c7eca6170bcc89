using System.Globalization;
using Dbt.Translator.Diagnostics;

namespace Dbt.Cli.Profile;

/// <summary>What the command line of <c>dbt profile</c> says.</summary>
internal sealed record ProfileOptions
{
    private const double MostSeconds = 86400;

    /// <summary>How long is looked where nothing else is said.</summary>
    public static readonly TimeSpan UsualLength = TimeSpan.FromSeconds(10);

    /// <summary>How long to look.</summary>
    public double? Seconds { get; init; }

    /// <summary>Samples a second.</summary>
    public required int Rate { get; init; }

    /// <summary>Lines of each list.</summary>
    public required int Top { get; init; }

    /// <summary>Files to write.</summary>
    public string? Html { get; init; }

    /// <summary>See <see cref="Html"/>.</summary>
    public string? Speedscope { get; init; }

    /// <summary>See <see cref="Html"/>.</summary>
    public string? Json { get; init; }

    /// <summary>Whether perf's map is wanted, and where; null for where perf looks.</summary>
    public bool WritesPerfMap { get; init; }

    /// <summary>See <see cref="WritesPerfMap"/>.</summary>
    public string? PerfMap { get; init; }

    /// <summary>The kernel's functions.</summary>
    public string? SystemMap { get; init; }

    /// <summary>The guest's programs.</summary>
    public IReadOnlyList<SymbolFiles.Place> Symbols { get; init; } = [];

    /// <summary>Whether a live view is wanted.</summary>
    public bool IsLive { get; init; }

    /// <summary>How long to look; null for what is usual.</summary>
    public TimeSpan? Length => Seconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    /// <summary>Says what can't be meant.</summary>
    /// <exception cref="ProfileException">Something.</exception>
    public void Check()
    {
        if (Seconds is not (null or (> 0 and <= MostSeconds)))
        {
            throw new ProfileException(string.Create(CultureInfo.InvariantCulture, $"--seconds: {Seconds} is outside 0 to {MostSeconds}"));
        }

        if (Rate is < 1 or > DbtEventSource.MostSamples)
        {
            throw new ProfileException(string.Create(CultureInfo.InvariantCulture, $"--rate: {Rate} is outside 1 to {DbtEventSource.MostSamples}"));
        }

        if (Top < 1)
        {
            throw new ProfileException("--top: at least one line is needed");
        }

        foreach (string path in new[] { Html, Speedscope, Json, PerfMap }.OfType<string>())
        {
            if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
            {
                throw new ProfileException($"there is no folder for {path}");
            }
        }

        if (SystemMap is not null && !File.Exists(SystemMap))
        {
            throw new ProfileException($"--system-map: there is no {SystemMap}");
        }
    }
}
