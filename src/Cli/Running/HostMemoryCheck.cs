using System.Globalization;
using Dbt.Xen.Builder;

namespace Dbt.Cli.Running;

/// <summary>
/// Whether the host has the memory that a guest is to have. A guest's memory is committed when it is touched, so that many guests may have more together than
/// the host has; but one that alone wants more than is there would be killed, or get others killed, when it uses it.
/// </summary>
internal static class HostMemoryCheck
{
    private const string MemoryInformation = "/proc/meminfo", GroupOf = "/proc/self/cgroup", Groups = "/sys/fs/cgroup";

    /// <summary>Looks before a guest is made.</summary>
    /// <param name="name">The guest's.</param>
    /// <param name="memoryMiB">What it is to have.</param>
    /// <exception cref="DomainBuildException">The host hasn't as much.</exception>
    public static void Require(string name, int memoryMiB) => Require(name, memoryMiB, Available());

    /// <summary>The same with what is available, in bytes; null where the host doesn't tell.</summary>
    public static void Require(string name, int memoryMiB, ulong? available)
    {
        if (available is { } bytes && (ulong)memoryMiB << 20 > bytes)
        {
            throw new DomainBuildException(
                $"{name} is to have {memoryMiB} MiB of memory, and the host has {bytes >> 20} MiB free (memory and swap): give it less (memory=), or end what else runs");
        }
    }

    /// <summary>Bytes that the host could give: MemAvailable and SwapFree, or what the limit of our control group leaves.</summary>
    public static ulong? Available()
    {
        try
        {
            ulong? host = FromMemoryInformation(File.ReadLines(MemoryInformation));
            ulong? group = FromGroup();
            return host is null || group is null ? host ?? group : Math.Min(host.Value, group.Value);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>MemAvailable and SwapFree of /proc/meminfo, bytes; null where it hasn't the first.</summary>
    public static ulong? FromMemoryInformation(IEnumerable<string> lines)
    {
        ulong? memory = null;
        ulong swap = 0;
        foreach (string line in lines)
        {
            string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length >= 2 && ulong.TryParse(words[1], NumberStyles.None, CultureInfo.InvariantCulture, out ulong kib))
            {
                memory = words[0] == "MemAvailable:" ? kib << 10 : memory;
                swap = words[0] == "SwapFree:" ? kib << 10 : swap;
            }
        }

        return memory + swap;
    }

    // memory.max less memory.current of the group that we are in (cgroup v2); null for no limit.
    private static ulong? FromGroup()
    {
        string? path = File.Exists(GroupOf) ? File.ReadLines(GroupOf).FirstOrDefault(line => line.StartsWith("0::", StringComparison.Ordinal))?[3..] : null;
        string folder = Groups + path;
        if (path is null || !File.Exists(folder + "/memory.max")
            || !ulong.TryParse(File.ReadAllText(folder + "/memory.max").Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out ulong most)
            || !ulong.TryParse(File.ReadAllText(folder + "/memory.current").Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out ulong now))
        {
            return null;
        }

        return most > now ? most - now : 0;
    }
}
