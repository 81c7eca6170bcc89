using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Cli.Running;

/// <summary>How a guest is run, wherever.</summary>
internal record GuestOptions
{
    /// <summary>--engine.</summary>
    public EngineKind Engine { get; init; } = EngineKind.Tiered;

    /// <summary>DBT_PORTABLE_FLOATING_POINT=1: x87, MMX and SSE in C#, whatever the host has.</summary>
    public bool PortableFloatingPoint { get; init; }

    /// <summary>--stats; null for none.</summary>
    public string? StatisticsPath { get; init; }

    /// <summary>--hang-after: how long a guest may be still before it is said to hang; zero for ever.</summary>
    public TimeSpan HangAfter { get; init; }

    /// <summary>What a report of a hang says of how to end the guest.</summary>
    public string HangAdvice { get; init; } = "^] or a signal ends it, --hang-after sets when this is said (0: never)";

    /// <summary>--system-map: names of the kernel's functions, for reports; null to look for them.</summary>
    public string? SystemMapPath { get; init; }

    /// <summary>-v: more is said.</summary>
    public bool Verbose { get; init; }

    /// <summary>The terminal's size, which a Linux guest on it is told at its start; null where there is none.</summary>
    public TerminalSize? TerminalSize { get; init; }

    /// <summary>Where compiled code is kept between runs; null for not at all (--no-code-cache).</summary>
    public CodeFolder? CodeFolder { get; init; }

    /// <summary>Whether it is made but held.</summary>
    public bool Paused { get; init; }
}

/// <summary>How <c>dbt run</c> runs a guest, as the command line says.</summary>
internal sealed record RunOptions : GuestOptions
{
    /// <summary>--timeout; null for none.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>--log; null for none.</summary>
    public string? LogPath { get; init; }

    /// <summary>The folder by which dbt list, mem-set and the like reach the guest; null for none.</summary>
    public string? ControlPath { get; init; }

    /// <summary>-N: everything is checked, nothing is run.</summary>
    public bool DryRun { get; init; }
}
