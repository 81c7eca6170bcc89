using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>The modules of one kernel, and what needs what (depmod's work).</summary>
internal sealed class ModuleTree
{

    private readonly string _folder;
    private readonly Dictionary<string, string> _paths = [];
    private readonly Dictionary<string, KernelModule> _modules = [];

    /// <param name="folder">lib/modules/VERSION of an unpacked package.</param>
    public ModuleTree(string folder)
    {
        _folder = folder;
        foreach (string file in Directory.EnumerateFiles(folder, "*.ko", SearchOption.AllDirectories))
        {
            _paths[KernelModule.Canonical(Path.GetFileNameWithoutExtension(file))] = file;
        }
    }

    /// <summary>Names of all modules below a folder, such as kernel/net/ipv4; or of the one module that the path names without its ending.</summary>
    public IEnumerable<string> Below(string path)
    {
        string start = Path.Combine(_folder, path);
        return _paths.Where(pair => pair.Value.StartsWith(start + "/", StringComparison.Ordinal) || pair.Value == start + ".ko")
            .Select(pair => pair.Key);
    }

    /// <summary>
    /// Some modules and all that they need, soft dependencies too, each behind what it needs. A soft dependency that is a name for several
    /// modules (crypto-crc32c) is met by the plain one, that any processor runs.
    /// </summary>
    /// <exception cref="PackageException">One isn't there.</exception>
    public IReadOnlyList<KernelModule> Closure(IEnumerable<string> names)
    {
        var order = new List<KernelModule>();
        var seen = new HashSet<string>();
        foreach (string name in names)
        {
            Visit(KernelModule.Canonical(name), order, seen);
        }

        return order;
    }

    /// <summary>Where a module belongs, from the tree's folder on: kernel/fs/ext4/ext4.ko.</summary>
    public string PathOf(KernelModule module) => Path.GetRelativePath(_folder, _paths[module.Name]);

    /// <summary>modules.dep of some modules: each with all that it needs, the nearest first, as depmod writes and modprobe loads from the end.</summary>
    public string DependencyFile(IEnumerable<KernelModule> modules) => string.Concat(modules.Select(module =>
        $"{PathOf(module)}:{string.Concat(Closure([module.Name]).Reverse().Skip(1).Select(needed => $" {PathOf(needed)}"))}\n"));

    /// <summary>modules.alias of some modules.</summary>
    public static string AliasFile(IEnumerable<KernelModule> modules) =>
        string.Concat(modules.SelectMany(module => module.Aliases.Select(alias => $"alias {alias} {module.Name}\n")));

    private void Visit(string name, List<KernelModule> order, HashSet<string> seen)
    {
        if (!seen.Add(name))
        {
            return;
        }

        KernelModule module = Get(name);
        foreach (string needed in module.Dependencies)
        {
            Visit(needed, order, seen);
        }

        foreach (string wanted in module.SoftDependencies)
        {
            if (FindSoft(wanted) is string found)
            {
                Visit(found, order, seen);
            }
        }

        order.Add(module);
    }

    private KernelModule Get(string name)
    {
        if (!_modules.TryGetValue(name, out KernelModule? module))
        {
            string path = _paths.GetValueOrDefault(name) ?? throw new PackageException($"the kernel's package has no module {name} (looked in {_folder})");
            _modules[name] = module = KernelModule.Read(path);
        }

        return module;
    }

    // A cipher or checksum "crypto-NAME" is in a module NAME_generic, or NAME.
    private string? FindSoft(string wanted)
    {
        const string crypto = "crypto-";
        string name = KernelModule.Canonical(wanted.StartsWith(crypto, StringComparison.Ordinal) ? wanted[crypto.Length..] : wanted);
        return new[] { $"{name}_generic", name }.FirstOrDefault(_paths.ContainsKey);
    }
}
