using Dbt.Translator.Emit;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Cache;

/// <summary>
/// How the dispatcher calls native code of regions: the host's registers that a function must leave as they are (System V ABI) are saved here, as regions don't (<see cref="MachineFrame"/>).
/// </summary>
internal static unsafe class RegionEntry
{
    private static readonly Lazy<nint> Stub = new(Write);

    /// <summary>Calls code: <c>int (CpuState*, instance)</c>, which gets there by the instance's own way (<see cref="InstanceLayout.OwnWay"/>).</summary>
    public static delegate* unmanaged<CpuState*, nint, nint, int> Address => (delegate* unmanaged<CpuState*, nint, nint, int>)Stub.Value;

    private static nint Write()
    {
        AssemblerRegister64[] saved = [rbp, rbx, r12, r13, r14, r15];
        var a = new Assembler(64);
        foreach (AssemblerRegister64 register in saved)
        {
            a.push(register);
        }

        // The stack is aligned on 16 bytes where a function is called.
        a.sub(rsp, 8);
        a.mov(rax, rdx);
        a.lea(rdx, __[rsi + InstanceLayout.OwnWay]);
        a.call(rax);
        a.add(rsp, 8);
        foreach (AssemblerRegister64 register in saved.Reverse())
        {
            a.pop(register);
        }

        a.ret();
        using var stream = new MemoryStream();
        a.Assemble(new StreamCodeWriter(stream), 0);
        byte[] bytes = stream.ToArray();
        nint address = CodeHeap.Allocate(bytes.Length);
        if (address == 0)
        {
            Environment.FailFast("There is code of regions, and no room for the way into it.");
        }

        bytes.CopyTo(new Span<byte>((void*)address, bytes.Length));
        return address;
    }
}
