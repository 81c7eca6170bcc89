using System.Buffers.Binary;
using System.Text;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>A loadable module of an i386 Linux kernel: a relocatable ELF file whose section .modinfo tells of it.</summary>
internal sealed class KernelModule
{
    private readonly byte[] _file;

    private KernelModule(string name, byte[] file)
    {
        Name = name;
        _file = file;
        var elf = new ElfObject(file);
        Information = Parse(elf.Contents(elf.Find(".modinfo")));
    }

    /// <summary>As modprobe has it, with underscores.</summary>
    public string Name { get; }

    /// <summary>Keys and values of .modinfo, in their order.</summary>
    public IReadOnlyList<(string Key, string Value)> Information { get; }

    /// <summary>Modules that must be there before it.</summary>
    public IEnumerable<string> Dependencies =>
        Values("depends").SelectMany(value => value.Split(',', StringSplitOptions.RemoveEmptyEntries)).Select(Canonical);

    /// <summary>What modprobe loads before it if it is there: modules, or names that modules are an alias for.</summary>
    public IEnumerable<string> SoftDependencies
    {
        get
        {
            bool before = false;
            foreach (string word in Values("softdep").SelectMany(value => value.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
            {
                if (word is "pre:" or "post:")
                {
                    before = word == "pre:";
                }
                else if (before)
                {
                    yield return word;
                }
            }
        }
    }

    /// <summary>Names and patterns that stand for it.</summary>
    public IEnumerable<string> Aliases => Values("alias");

    /// <summary>Reads a module. Debian 12's, the last i386 kernel of Debian, are not compressed.</summary>
    /// <param name="path">Its file, whose name it has.</param>
    /// <exception cref="PackageException">It is none.</exception>
    public static KernelModule Read(string path)
    {
        string file = Path.GetFileName(path);
        try
        {
            return new KernelModule(Canonical(Path.GetFileNameWithoutExtension(file)), File.ReadAllBytes(path));
        }
        catch (InvalidDataException exception)
        {
            throw new PackageException($"{file} is no module of an i386 kernel: {exception.Message}");
        }
    }

    /// <summary>
    /// What a guest loads with the least work: without the signature (apt has checked where the file comes from; the kernel would do
    /// 4096-bit arithmetic once more for each module, some forty million instructions) and without local symbols that no relocation uses
    /// (ftrace looks through all of them for each function of the module).
    /// </summary>
    public byte[] Slim() => ElfSymbolStripper.Strip(ModuleSignature.Strip(_file));

    /// <summary>A module's name: files and requests also write a dash.</summary>
    public static string Canonical(string name) => name.Replace('-', '_');

    private IEnumerable<string> Values(string key) => Information.Where(pair => pair.Key == key).Select(pair => pair.Value);

    private static List<(string Key, string Value)> Parse(ReadOnlySpan<byte> section)
    {
        var pairs = new List<(string, string)>();
        foreach (string text in Encoding.UTF8.GetString(section).Split('\0', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = text.IndexOf('=', StringComparison.Ordinal);
            if (equals > 0)
            {
                pairs.Add((text[..equals], text[(equals + 1)..]));
            }
        }

        return pairs;
    }
}

/// <summary>The signature behind a module's file (Linux, include/linux/module_signature.h).</summary>
internal static class ModuleSignature
{
    private const int DescriptionBytes = 12;

    private static ReadOnlySpan<byte> Marker => "~Module signature appended~\n"u8;

    /// <summary>A module without its signature; as it is where it has none.</summary>
    public static byte[] Strip(byte[] file)
    {
        int description = file.Length - Marker.Length - DescriptionBytes;
        if (description < 0 || !file.AsSpan().EndsWith(Marker))
        {
            return file;
        }

        // struct module_signature ends with the length of what lies before it.
        uint length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(description + 8));
        return length <= description ? file[..(description - (int)length)] : throw new InvalidDataException("the module's signature is longer than its file");
    }
}
