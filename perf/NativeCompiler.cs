using System.ComponentModel;
using System.Diagnostics;

namespace Dbt.Perf;

/// <summary>Compiles kernels by the host's gcc for i386, and for the host's native run; finds out whether that can be the same.</summary>
/// <param name="folder">Where the programs are put.</param>
internal sealed class NativeCompiler(string folder)
{
    private bool? _runs32BitPrograms;

    /// <summary>Whether the host's kernel runs i386 programs; where it doesn't, native is the same source compiled for x86-64, which has twice the registers.</summary>
    public bool Runs32BitPrograms => _runs32BitPrograms ??= Try();

    /// <summary>What the native run is, for a table's head.</summary>
    public string Description => Runs32BitPrograms
        ? "native: the host runs the same i386 code (gcc -m32)"
        : "native: this host runs no 32-bit programs; it is the same source compiled for x86-64 (gcc -m64)";

    /// <summary>Compiles the guest's program.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="share">What part of its work: one in so many.</param>
    public GuestProgram ForTheGuest(NativeKernel kernel, int share = 1)
    {
        string program = Path.Combine(folder, "guest"), image = program + ".bin";
        Shell(Command(kernel, "-m32", share, program) + $" && objcopy -O binary {program} {image}");
        return GuestProgram.Read(program, image);
    }

    /// <summary>Compiles the program that the host runs.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="share">What part of its work: one in so many.</param>
    /// <param name="served">Whether it runs as often as it is told (perf/Native/start.h), or once.</param>
    /// <returns>Where it is.</returns>
    public string ForTheHost(NativeKernel kernel, int share = 1, bool served = false)
    {
        string program = Path.Combine(folder, "host");
        Shell(Command(kernel, (Runs32BitPrograms ? "-m32" : "-m64") + (served ? " -DSERVED" : ""), share, program));
        return program;
    }

    private static string Command(NativeKernel kernel, string machine, int share, string output) =>
        $"gcc {machine} -O2 -w -static -nostdlib -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fno-tree-vectorize "
        + $"{kernel.Options} -DKERNEL={kernel.Function} -DSHARE={share} -Wl,-Ttext={GuestProgram.Load:x},--build-id=none -o {output} "
        + Path.Combine(AppContext.BaseDirectory, "Native", kernel.Set);

    private bool Try()
    {
        string program = Path.Combine(folder, "try");
        Shell($"echo 'void _start(void) {{ __asm__(\"int $0x80\" : : \"a\"(1), \"b\"(0)); }}' | gcc -m32 -static -nostdlib -x c -o {program} -");
        try
        {
            using var process = Process.Start(program);
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }

    private static void Shell(string command)
    {
        using var process = Process.Start("/bin/sh", ["-c", command]);
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"The kernels could not be compiled: install gcc and its 32-bit support (gcc-multilib). {command}");
        }
    }
}
