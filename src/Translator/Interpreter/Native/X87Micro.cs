using Dbt.Translator.Memory;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>
/// Host code for one x87 operation on values in memory, without the whole state going in and out (FXRSTOR, FXSAVE and FNINIT are 300 ns,
/// this is 20). Right only while all exceptions are masked. Called with the System V convention: rdi an 80-bit register in the
/// area, rsi the source, rdx the area; returns the status word, whose exceptions are the operation's and some that the area has anyway.
/// </summary>
internal static unsafe class X87Micro
{
    private const int Capacity = 16384;
    private const int DefaultControl = 0x37F;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<(Mnemonic Operation, MemorySize Source), nint> Known = [];
    private static byte* _memory;
    private static int _used;

    /// <summary>The code of an operation with a source of a type; 80 bits for registers.</summary>
    /// <param name="operation">
    /// FADD to FDIVR: [rdi] = [rdi] op [rsi]. FSQRT, FRNDINT: [rdi] alone. FCOM, FUCOM: [rdi] with [rsi]. FST, FIST, FISTTP: [rdi] to [rsi].
    /// </param>
    /// <param name="source">Type of [rsi].</param>
    public static delegate* unmanaged[SuppressGCTransition]<byte*, byte*, FxState*, uint> Get(Mnemonic operation, MemorySize source)
    {
        lock (Gate)
        {
            if (!Known.TryGetValue((operation, source), out nint code))
            {
                if (_memory == null)
                {
                    _memory = HostMemory.Reserve(Capacity, executable: true);
                }

                code = (nint)(_memory + _used);
                var writer = new PointerCodeWriter((byte*)code);
                Write(operation, source).Assemble(writer, (ulong)code);
                _used += (writer.Length + 15) & ~15;
                Known[(operation, source)] = code;
            }

            return (delegate* unmanaged[SuppressGCTransition]<byte*, byte*, FxState*, uint>)code;
        }
    }

    private static Assembler Write(Mnemonic operation, MemorySize source)
    {
        var a = new Assembler(64);
        Label clean = a.CreateLabel(), set = a.CreateLabel(), ready = a.CreateLabel(), reset = a.CreateLabel(), done = a.CreateLabel(), control = a.CreateLabel();

        // Flags that the unit has from before, and the guest has not: FNCLEX is slow, so it is done only then.
        a.fnstsw(ax);
        a.movzx(ecx, __word_ptr[rdx + 2]);
        a.not(ecx);
        a.and(eax, ecx);
        a.test(al, 0x3F);
        a.je(clean);
        a.fnclex();
        a.Label(ref clean);
        a.cmp(__word_ptr[rdx], DefaultControl);
        a.jne(set);
        a.Label(ref ready);
        WriteOperation(a, operation, source);
        a.cmp(__word_ptr[rdx], DefaultControl);
        a.jne(reset);
        a.Label(ref done);
        a.ret();
        a.Label(ref set);
        a.fldcw(__word_ptr[rdx]);
        a.jmp(ready);
        a.Label(ref reset);
        a.fldcw(__word_ptr[control]);
        a.jmp(done);
        a.Label(ref control);
        a.dw(DefaultControl);
        return a;
    }

    private static void WriteOperation(Assembler a, Mnemonic operation, MemorySize source)
    {
        a.fld(__tbyte_ptr[rdi]);
        switch (operation)
        {
            case Mnemonic.Fst or Mnemonic.Fist or Mnemonic.Fisttp:
                a.AddInstruction(StoreOf(operation, source));
                a.fnstsw(ax);
                return;
            case Mnemonic.Fsqrt:
                a.fsqrt();
                break;
            case Mnemonic.Frndint:
                a.frndint();
                break;
            case Mnemonic.Fcom or Mnemonic.Fucom when source == MemorySize.Float80:
                a.fld(__tbyte_ptr[rsi]);
                a.fxch(st0, st1);
                a.AddInstruction(Instruction.Create(operation == Mnemonic.Fcom ? Code.Fcompp : Code.Fucompp));
                a.fnstsw(ax);
                return;
            case Mnemonic.Fcom:
                a.AddInstruction(Instruction.Create(CompareOf(source), Operand));
                a.fnstsw(ax);
                return;
            default:
                if (source == MemorySize.Float80)
                {
                    a.fld(__tbyte_ptr[rsi]);
                    a.AddInstruction(Instruction.Create(PoppingOf(operation), Register.ST1, Register.ST0));
                }
                else
                {
                    a.AddInstruction(Instruction.Create(ArithmeticOf(operation, source), Operand));
                }

                break;
        }

        a.fnstsw(ax);
        a.fstp(__tbyte_ptr[rdi]);
    }

    private static MemoryOperand Operand => new(Register.RSI);

    private static Instruction StoreOf(Mnemonic operation, MemorySize target) => Instruction.Create(
        (operation, target) switch
        {
            (Mnemonic.Fst, MemorySize.Float32) => Code.Fstp_m32fp,
            (Mnemonic.Fst, _) => Code.Fstp_m64fp,
            (Mnemonic.Fist, MemorySize.Int16) => Code.Fistp_m16int,
            (Mnemonic.Fist, MemorySize.Int32) => Code.Fistp_m32int,
            (Mnemonic.Fist, _) => Code.Fistp_m64int,
            (_, MemorySize.Int16) => Code.Fisttp_m16int,
            (_, MemorySize.Int32) => Code.Fisttp_m32int,
            _ => Code.Fisttp_m64int,
        },
        Operand);

    private static Code CompareOf(MemorySize source) => source switch
    {
        MemorySize.Float32 => Code.Fcomp_m32fp,
        MemorySize.Float64 => Code.Fcomp_m64fp,
        MemorySize.Int16 => Code.Ficomp_m16int,
        _ => Code.Ficomp_m32int,
    };

    private static Code PoppingOf(Mnemonic operation) => operation switch
    {
        Mnemonic.Fadd => Code.Faddp_sti_st0,
        Mnemonic.Fsub => Code.Fsubp_sti_st0,
        Mnemonic.Fsubr => Code.Fsubrp_sti_st0,
        Mnemonic.Fmul => Code.Fmulp_sti_st0,
        Mnemonic.Fdiv => Code.Fdivp_sti_st0,
        _ => Code.Fdivrp_sti_st0,
    };

    private static Code ArithmeticOf(Mnemonic operation, MemorySize source) => (operation, source) switch
    {
        (Mnemonic.Fadd, MemorySize.Float32) => Code.Fadd_m32fp,
        (Mnemonic.Fadd, MemorySize.Float64) => Code.Fadd_m64fp,
        (Mnemonic.Fadd, MemorySize.Int16) => Code.Fiadd_m16int,
        (Mnemonic.Fadd, _) => Code.Fiadd_m32int,
        (Mnemonic.Fsub, MemorySize.Float32) => Code.Fsub_m32fp,
        (Mnemonic.Fsub, MemorySize.Float64) => Code.Fsub_m64fp,
        (Mnemonic.Fsub, MemorySize.Int16) => Code.Fisub_m16int,
        (Mnemonic.Fsub, _) => Code.Fisub_m32int,
        (Mnemonic.Fsubr, MemorySize.Float32) => Code.Fsubr_m32fp,
        (Mnemonic.Fsubr, MemorySize.Float64) => Code.Fsubr_m64fp,
        (Mnemonic.Fsubr, MemorySize.Int16) => Code.Fisubr_m16int,
        (Mnemonic.Fsubr, _) => Code.Fisubr_m32int,
        (Mnemonic.Fmul, MemorySize.Float32) => Code.Fmul_m32fp,
        (Mnemonic.Fmul, MemorySize.Float64) => Code.Fmul_m64fp,
        (Mnemonic.Fmul, MemorySize.Int16) => Code.Fimul_m16int,
        (Mnemonic.Fmul, _) => Code.Fimul_m32int,
        (Mnemonic.Fdiv, MemorySize.Float32) => Code.Fdiv_m32fp,
        (Mnemonic.Fdiv, MemorySize.Float64) => Code.Fdiv_m64fp,
        (Mnemonic.Fdiv, MemorySize.Int16) => Code.Fidiv_m16int,
        (Mnemonic.Fdiv, _) => Code.Fidiv_m32int,
        (_, MemorySize.Float32) => Code.Fdivr_m32fp,
        (_, MemorySize.Float64) => Code.Fdivr_m64fp,
        (_, MemorySize.Int16) => Code.Fidivr_m16int,
        _ => Code.Fidivr_m32int,
    };
}
