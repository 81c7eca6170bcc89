using Dbt.Tests.Xen.Hvm;
using Iced.Intel;

namespace Dbt.Tests.Snapshot;

/// <summary>A PVH kernel whose processor counts for ever, in a register and in memory.</summary>
internal static class CountingKernel
{
    /// <summary>The guest-physical address of the count.</summary>
    public const uint Counter = 0x40000;

    /// <summary>The kernel's file.</summary>
    public static byte[] Make()
    {
        var a = new Assembler(32);
        Label again = a.CreateLabel();
        a.Label(ref again);
        a.inc(AssemblerRegisters.eax);
        a.mov(AssemblerRegisters.__dword_ptr[Counter], AssemblerRegisters.eax);
        a.jmp(again);
        var code = new MemoryStream();
        a.Assemble(new StreamCodeWriter(code), HvmFixture.Entry);
        return HvmFixture.Kernel(code.ToArray());
    }
}
