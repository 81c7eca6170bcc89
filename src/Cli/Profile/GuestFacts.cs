using Dbt.Cli.Config;
using Dbt.Translator.Diagnostics;

namespace Dbt.Cli.Profile;

/// <summary>What a process that runs a guest tells of it to a profiler that attaches.</summary>
internal static class GuestFacts
{
    /// <summary>Names of facts: the guest's name, where its kernel and its System.map are.</summary>
    public const string Name = "name", Kernel = "kernel", SystemMap = "system-map";

    /// <summary>The kernel that is built in.</summary>
    public const string Embedded = "";

    /// <summary>Notes what there is to know of a guest.</summary>
    public static void Tell(GuestConfig config, string? systemMap)
    {
        ProcessorRegistry.Describe(Name, config.Name);
        ProcessorRegistry.Describe(Kernel, config.KernelPath is null ? Embedded : Path.GetFullPath(config.KernelPath));
        if (systemMap is not null)
        {
            ProcessorRegistry.Describe(SystemMap, Path.GetFullPath(systemMap));
        }
    }
}
