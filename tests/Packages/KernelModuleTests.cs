using System.Buffers.Binary;
using System.Text;
using Dbt.Cli.Guests;
using Dbt.Cli.Packages;

namespace Dbt.Tests.Packages;

/// <summary>Modules of Debian's kernel: what needs what, and that making them small changes nothing that counts.</summary>
public sealed class KernelModuleTests
{
    private static ModuleTree Tree()
    {
        string kernel = DebianFiles.PathOf(DebianFiles.Kernel);
        string version = Path.GetFileName(kernel)["vmlinuz-".Length..];
        return new ModuleTree(Path.Combine(Path.GetDirectoryName(kernel)!, "..", "lib", "modules", version));
    }

    [RequiresPackageFact(DebianFiles.Kernel)]
    public void WhatAModuleNeedsComesBeforeIt()
    {
        ModuleTree tree = Tree();
        List<string> names = [.. tree.Closure(["xen-blkfront", "ext4"]).Select(module => module.Name)];
        Assert.Equal(["crc16", "crc32c_generic", "ext4", "jbd2", "mbcache", "xen_blkfront"], names.Order(StringComparer.Ordinal));
        Assert.All(new[] { "crc16", "crc32c_generic", "jbd2", "mbcache" }, needed => Assert.True(names.IndexOf(needed) < names.IndexOf("ext4"), needed));
    }

    [RequiresPackageFact(DebianFiles.Kernel)]
    public void DependenciesAreWrittenAsModprobeReadsThem()
    {
        ModuleTree tree = Tree();
        KernelModule overlay = Assert.Single(tree.Closure(["xen-netfront"]));
        Assert.Equal("kernel/drivers/net/xen-netfront.ko:\n", tree.DependencyFile([overlay]));
        Assert.Contains("alias xen:vif xen_netfront\n", ModuleTree.AliasFile([overlay]), StringComparison.Ordinal);
        string line = tree.DependencyFile(tree.Closure(["jbd2"])).Split('\n').Single(l => l.StartsWith("kernel/fs/jbd2/", StringComparison.Ordinal));
        Assert.Equal("kernel/fs/jbd2/jbd2.ko: kernel/crypto/crc32c_generic.ko", line);
    }

    [RequiresPackageFact(DebianFiles.Kernel)]
    public void AnUnknownModuleIsRefused() =>
        Assert.Contains("no module nonesuch", Assert.Throws<PackageException>(() => Tree().Closure(["nonesuch"])).Message, StringComparison.Ordinal);

    [RequiresPackageFact(DebianFiles.Kernel)]
    public void ASmallModuleRelocatesLikeTheWholeOne()
    {
        ModuleTree tree = Tree();
        string kernelFolder = Path.Combine(Path.GetDirectoryName(DebianFiles.PathOf(DebianFiles.Kernel))!, "..");
        foreach (KernelModule module in tree.Closure(["xen-blkfront", "ext4", "xen-netfront"]))
        {
            byte[] whole = File.ReadAllBytes(Directory.EnumerateFiles(kernelFolder, Path.GetFileName(tree.PathOf(module)), SearchOption.AllDirectories).Single());
            byte[] small = module.Slim();
            Assert.True(small.Length < whole.Length);
            Assert.False(small.AsSpan().EndsWith("~Module signature appended~\n"u8));
            (List<string> before, int symbolsBefore) = Relocations(whole);
            (List<string> after, int symbolsAfter) = Relocations(small);
            Assert.Equal(before, after);
            Assert.True(symbolsAfter < symbolsBefore, module.Name);
        }
    }

    [Fact]
    public void AFileThatIsNoModuleIsRefused()
    {
        string file = Path.Combine(Path.GetTempPath(), $"dbt-{Guid.NewGuid():N}.ko");
        File.WriteAllText(file, "#!/bin/sh\n" + new string('x', 100));
        try
        {
            Assert.Contains("is no module of an i386 kernel", Assert.Throws<PackageException>(() => KernelModule.Read(file)).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>Each relocation as where, how, and against what: name, section and value of the symbol.</summary>
    private static (List<string> Relocations, int Symbols) Relocations(byte[] file)
    {
        var elf = new ElfObject(file);
        ElfObjectSection table = elf.Sections.Single(section => section.Type == ElfObject.SymbolTable);
        byte[] symbols = elf.Contents(table).ToArray(), names = elf.Contents(elf.Sections[table.Link]).ToArray();
        var all = new List<string>();
        foreach (ElfObjectSection section in elf.Sections.Where(section => section.Type == ElfObject.Relocations))
        {
            ReadOnlySpan<byte> entries = elf.Contents(section);
            for (int at = 0; at < entries.Length; at += 8)
            {
                uint info = BinaryPrimitives.ReadUInt32LittleEndian(entries[(at + 4)..]);
                ReadOnlySpan<byte> symbol = symbols.AsSpan((int)(info >> 8) * 16, 16);
                int name = BinaryPrimitives.ReadInt32LittleEndian(symbol), end = Array.IndexOf(names, (byte)0, name);
                all.Add($"{section.Info} {BinaryPrimitives.ReadUInt32LittleEndian(entries[at..]):x} {info & 0xFF} {Encoding.ASCII.GetString(names, name, end - name)} {Convert.ToHexString(symbol[4..])}");
            }
        }

        return (all, symbols.Length / 16);
    }
}
