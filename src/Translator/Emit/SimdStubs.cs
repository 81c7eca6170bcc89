using Dbt.Translator.Interpretation.Native;
using Dbt.Translator.State;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Emit;

/// <summary>
/// Host code for SSE instructions that .NET has no intrinsic for: <c>long (CpuState*, long)</c>. XMM registers, EAX and EDX are taken from the
/// processor's state and an XMM result is put there; the second argument is the host address of the memory operand. The result is the host's
/// flags, and ECX in the upper half.
/// </summary>
internal static class SimdStubs
{
    /// <summary>The code for an instruction; 0 where there is no more room.</summary>
    /// <param name="guest">As decoded.</param>
    /// <param name="xmm">XMM registers that it names, or has without naming them: bit per number.</param>
    /// <param name="written">Those of them that it writes.</param>
    public static nint Find(in Instruction guest, int xmm, int written)
    {
        var a = new Assembler(64);
        for (int number = 0; number < 8; number++)
        {
            if ((xmm >> number & 1) != 0)
            {
                a.movups(ThunkAssembler.Xmm(number), __xmmword_ptr[rdi + StateLayout.Xmm(number)]);
            }
        }

        a.mov(eax, __dword_ptr[rdi + StateLayout.Gpr((int)Gpr.Eax)]);
        a.mov(edx, __dword_ptr[rdi + StateLayout.Gpr((int)Gpr.Edx)]);
        if (guest.Mnemonic == Mnemonic.Maskmovdqu)
        {
            a.mov(rdi, rsi);
            a.maskmovdqu(ThunkAssembler.Xmm(guest.Op1Register - Register.XMM0), ThunkAssembler.Xmm(guest.Op2Register - Register.XMM0));
        }
        else
        {
            a.AddInstruction(ThunkAssembler.Canonical(guest, out _));
        }

        a.pushfq();
        a.pop(rax);
        for (int number = 0; number < 8; number++)
        {
            if ((written >> number & 1) != 0)
            {
                a.movups(__xmmword_ptr[rdi + StateLayout.Xmm(number)], ThunkAssembler.Xmm(number));
            }
        }

        a.mov(eax, eax);
        a.shl(rcx, 32);
        a.or(rax, rcx);
        a.ret();
        return HostStubs.Place(a);
    }

    /// <summary>STMXCSR to the host address in the second argument; LDMXCSR of a value in it.</summary>
    public static nint Mxcsr(bool load)
    {
        var a = new Assembler(64);
        if (load)
        {
            a.mov(__dword_ptr[rsp - 8], esi);
            a.ldmxcsr(__dword_ptr[rsp - 8]);
        }
        else
        {
            a.stmxcsr(__dword_ptr[rsi]);
        }

        a.ret();
        return HostStubs.Place(a);
    }
}
