using Dbt.Xen.Builder;

namespace Dbt.Perf.Boot;

/// <summary>The same kernel and initial RAM disk on QEMU and on each of our engines.</summary>
internal sealed class BootMachines(BootSettings settings, string scratch)
{
    private const string Qemu = "qemu-system-i386";

    /// <summary>What is compared, QEMU first. The row of QEMU is absent where it isn't installed.</summary>
    public IEnumerable<BootRun> All()
    {
        string elf = Unpack();
        if (FindQemu() is string qemu)
        {
            yield return OnQemu(qemu, elf);
        }
        else
        {
            Console.WriteLine($"{Qemu} is not installed (Debian: apt-get install qemu-system-x86): no ratios.");
        }

        foreach (string engine in settings.Engines)
        {
            yield return OnDbt(engine, elf);
            if (settings.WarmUps > 0)
            {
                yield return OnDbt(engine, elf) with { Name = $"dbt, {engine}, after {settings.WarmUps} boots", CacheFolder = Path.Combine(scratch, $"warm-{engine}"), WarmUps = settings.WarmUps };
            }

            if (settings.Packed)
            {
                yield return OnDbt($"{engine}, packed kernel", settings.Kernel);
            }
        }
    }

    // QEMU enters a kernel by PVH only where it is a plain ELF file; a bzImage would unpack itself in the guest.
    private string Unpack()
    {
        string elf = Path.Combine(scratch, "vmlinux");
        File.WriteAllBytes(elf, KernelContainer.Unwrap(File.ReadAllBytes(settings.Kernel)));
        return elf;
    }

    private static string? FindQemu() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, Qemu)).FirstOrDefault(File.Exists);

    // ACPI off: QEMU 7.2's microvm then has the interrupt timer that this kernel can calibrate its clock with.
    private BootRun OnQemu(string qemu, string elf) => new(
        "QEMU, TCG",
        qemu,
        [
            "-M", "microvm,acpi=off", "-accel", "tcg", "-m", $"{settings.MemoryMiB}", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio",
            "-no-reboot", "-kernel", elf, "-initrd", settings.Ramdisk, "-append", $"console=ttyS0 {settings.CommandLine}",
        ],
        null);

    private BootRun OnDbt(string name, string kernel) => new(
        $"dbt, {name}",
        settings.Dbt,
        [
            "run", "--engine", name.Split(',')[0], "name=boot", "type=pvh", $"kernel={kernel}", $"ramdisk={settings.Ramdisk}", $"memory={settings.MemoryMiB}",
            $"cmdline=console=hvc0 {settings.CommandLine}",
        ],
        Path.Combine(scratch, "cache"));
}
