using Dbt.Cli.Config;
using Dbt.Xen.Diagnostics;

namespace Dbt.Cli.Running;

/// <summary>
/// Finds the names of a kernel's functions: in the file that --system-map names, in the System.map beside the kernel as distributions
/// install it (vmlinuz-V and System.map-V, or System.map), or in the kernel's own symbol table. Nothing is read before a report needs it.
/// </summary>
internal static class GuestSymbols
{
    /// <summary>Prepares to find them.</summary>
    /// <exception cref="ConfigException"><paramref name="systemMap"/> can't be read, or is none.</exception>
    public static Lazy<SymbolTable?> Of(GuestConfig config, string? systemMap) => Of(config.KernelPath, systemMap);

    /// <summary>Prepares to find them.</summary>
    /// <param name="kernel">The kernel's file; null for the one that is built in.</param>
    /// <param name="systemMap">What the user named, if anything.</param>
    /// <exception cref="ConfigException"><paramref name="systemMap"/> can't be read, or is none.</exception>
    public static Lazy<SymbolTable?> Of(string? kernel, string? systemMap)
    {
        if (systemMap is null)
        {
            return new Lazy<SymbolTable?>(() => Find(kernel));
        }

        // What the user named has to be right, and is looked at while there is time to say so.
        SymbolTable table = Read(systemMap) ?? throw new ConfigException($"{systemMap}: no System.map: lines of address, type and name are expected, with functions of a 32-bit kernel");
        return new Lazy<SymbolTable?>(() => table);
    }

    private static SymbolTable? Find(string? kernel)
    {
        if (kernel is null)
        {
            return SymbolTable.ReadKernel(EmbeddedGuest.Load());
        }

        foreach (string path in Beside(kernel).Where(File.Exists))
        {
            if (TryRead(path) is { } table)
            {
                return table;
            }
        }

        try
        {
            return SymbolTable.ReadKernel(File.ReadAllBytes(kernel));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null; // the file has gone since; the report does without names
        }
    }

    private static IEnumerable<string> Beside(string kernel)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(kernel)) ?? "/", name = Path.GetFileName(kernel);
        int dash = name.IndexOf('-', StringComparison.Ordinal);
        if (dash >= 0)
        {
            yield return Path.Combine(folder, "System.map" + name[dash..]);
        }

        yield return Path.Combine(folder, "System.map");
    }

    private static SymbolTable? TryRead(string path)
    {
        try
        {
            return Read(path);
        }
        catch (ConfigException)
        {
            return null;
        }
    }

    private static SymbolTable? Read(string path)
    {
        try
        {
            using var reader = new StreamReader(path);
            return SymbolTable.ReadSystemMap(reader);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{path}: can't be read: {exception.Message}");
        }
    }
}
