using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator;

/// <summary>
/// Random i386 code that always ends: blocks of integer instructions on registers and on memory around ESI and EDI,
/// forward branches, counted loops, calls. EAX, ECX, EDX, EBX and EBP hold data; ESI, EDI and ESP stay pointers.
/// </summary>
internal sealed class RandomProgram(int seed)
{
    /// <summary>Data area; ESI and EDI point into it.</summary>
    public const uint Data = 0x100000;

    private static readonly AssemblerRegister32[] Registers = [eax, ecx, edx, ebx, ebp];
    private static readonly AssemblerRegister16[] Words = [ax, cx, dx, bx, bp];
    private static readonly AssemblerRegister8[] Bytes = [al, cl, dl, bl, ah, ch, dh, bh];

    private readonly Random _random = new(seed);

    /// <summary>Assembles the program; it ends with INT 0x80.</summary>
    public void Write(Assembler a)
    {
        int blocks = 3 + _random.Next(6);
        Label[] labels = [.. Enumerable.Range(0, blocks + 1).Select(_ => a.CreateLabel())];
        Label function = a.CreateLabel();
        for (int i = 0; i < blocks; i++)
        {
            a.Label(ref labels[i]);
            bool loop = _random.Next(3) == 0;
            Label again = a.CreateLabel();
            if (loop)
            {
                a.mov(__dword_ptr[Data + 0x800 + (i * 4)], 1 + _random.Next(40));
                a.Label(ref again);
            }

            int count = 1 + _random.Next(10);
            for (int n = 0; n < count; n++)
            {
                Instruction(a);
            }

            if (_random.Next(3) == 0)
            {
                a.call(function);
            }

            if (_random.Next(3) == 0)
            {
                // Walks on, in some programs into a page that is not there; the flags stay.
                a.lea(esi, __[esi + 0x60]);
            }

            if (loop)
            {
                a.dec(__dword_ptr[Data + 0x800 + (i * 4)]);
                a.jnz(again);
            }
            else
            {
                Branch(a, labels[i + 1 + _random.Next(blocks - i)]);
            }
        }

        a.Label(ref labels[blocks]);
        a.@int(0x80);
        a.Label(ref function);
        int body = 1 + _random.Next(5);
        for (int n = 0; n < body; n++)
        {
            Instruction(a);
        }

        a.ret();
    }

    private void Branch(Assembler a, Label target)
    {
        switch (_random.Next(18))
        {
            case 0: a.jo(target); break;
            case 1: a.jno(target); break;
            case 2: a.jb(target); break;
            case 3: a.jae(target); break;
            case 4: a.je(target); break;
            case 5: a.jne(target); break;
            case 6: a.jbe(target); break;
            case 7: a.ja(target); break;
            case 8: a.js(target); break;
            case 9: a.jns(target); break;
            case 10: a.jp(target); break;
            case 11: a.jnp(target); break;
            case 12: a.jl(target); break;
            case 13: a.jge(target); break;
            case 14: a.jle(target); break;
            case 15: a.jg(target); break;
            case 16: a.jmp(target); break;
            default: break;
        }
    }

    private AssemblerRegister32 R32() => Registers[_random.Next(Registers.Length)];

    private AssemblerRegister16 R16() => Words[_random.Next(Words.Length)];

    private AssemblerRegister8 R8() => Bytes[_random.Next(Bytes.Length)];

    private AssemblerMemoryOperand Address()
    {
        int displacement = _random.Next(16) == 0 ? _random.Next(-4100, 4100) : _random.Next(-48, 48);
        return _random.Next(4) switch
        {
            0 => esi + displacement,
            1 => edi + displacement,
            2 => __[Data + (uint)_random.Next(200)],
            _ => esi + displacement,
        };
    }

    private int Immediate() => _random.Next(4) switch
    {
        0 => _random.Next(-4, 5),
        1 => 1 << _random.Next(32),
        2 => int.MinValue + _random.Next(-1, 2),
        _ => _random.Next(int.MinValue, int.MaxValue),
    };

    private void Instruction(Assembler a)
    {
        int kind = _random.Next(34);
        switch (kind)
        {
            case < 10:
                Binary(a);
                break;
            case < 14:
                Shift(a);
                break;
            case 14: a.inc(R32()); break;
            case 15: a.dec(R8()); break;
            case 16: a.neg(R32()); break;
            case 17: a.not(R16()); break;
            case 18: a.imul(R32(), R32()); break;
            case 19: a.imul(R16(), R16(), (short)Immediate()); break;
            case 20: a.mul(R32()); break;
            case 21: a.movzx(R32(), R8()); break;
            case 22: a.movsx(R32(), __word_ptr[Address()]); break;
            case 23: a.lea(R32(), __[R32() + (R32() * (1 << _random.Next(4))) + Immediate()]); break;
            case 24: SetOrMove(a); break;
            case 25: a.xchg(R32(), R32()); break;
            case 26: a.bswap(R32()); break;
            case 27: Bits(a); break;
            case 28: a.push(R32()); a.pop(R32()); break;
            case 29: Divide(a); break;
            case 30: Atomic(a); break;
            case 31: FlagInstruction(a); break;
            case 32: a.cdq(); break;
            default: Strings(a); break;
        }
    }

    private void Binary(Assembler a)
    {
        int operation = _random.Next(10);
        switch (_random.Next(7))
        {
            case 0: Apply(R32(), R32()); break;
            case 1: ApplyMemory32(R32()); break;
            case 2: ApplyToMemory32(R32()); break;
            case 3: ApplyImmediate(R32()); break;
            case 4: ApplyByte(R8()); break;
            case 5: ApplyWord(R16()); break;
            default: ApplyImmediateToMemory(); break;
        }

        void Apply(AssemblerRegister32 d, AssemblerRegister32 s)
        {
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, s); break;
                case 3: a.or(d, s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.test(d, s); break;
                default: a.mov(d, s); break;
            }
        }

        void ApplyMemory32(AssemblerRegister32 d)
        {
            AssemblerMemoryOperand s = __dword_ptr[Address()];
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, s); break;
                case 3: a.or(d, s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.test(s, d); break;
                default: a.mov(d, s); break;
            }
        }

        void ApplyToMemory32(AssemblerRegister32 s)
        {
            AssemblerMemoryOperand d = __dword_ptr[Address()];
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, s); break;
                case 3: a.or(d, s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.inc(d); break;
                default: a.mov(d, s); break;
            }
        }

        void ApplyImmediate(AssemblerRegister32 d)
        {
            int s = Immediate();
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, s); break;
                case 3: a.or(d, s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.test(d, s); break;
                default: a.mov(d, s); break;
            }
        }

        void ApplyByte(AssemblerRegister8 d)
        {
            AssemblerRegister8 s = R8();
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, __byte_ptr[Address()]); break;
                case 3: a.or(__byte_ptr[Address()], s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.test(d, s); break;
                default: a.mov(d, s); break;
            }
        }

        void ApplyWord(AssemblerRegister16 d)
        {
            AssemblerRegister16 s = R16();
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, __word_ptr[Address()]); break;
                case 3: a.or(__word_ptr[Address()], s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.inc(d); break;
                default: a.mov(d, s); break;
            }
        }

        void ApplyImmediateToMemory()
        {
            AssemblerMemoryOperand d = __dword_ptr[Address()];
            int s = Immediate();
            switch (operation)
            {
                case 0: a.add(d, s); break;
                case 1: a.sub(d, s); break;
                case 2: a.and(d, s); break;
                case 3: a.or(d, s); break;
                case 4: a.xor(d, s); break;
                case 5: a.adc(d, s); break;
                case 6: a.sbb(d, s); break;
                case 7: a.cmp(d, s); break;
                case 8: a.neg(d); break;
                default: a.mov(d, s); break;
            }
        }
    }

    private void Shift(Assembler a)
    {
        bool byCl = _random.Next(2) == 0;
        byte count = (byte)_random.Next(34);
        AssemblerRegister32 d = R32();
        AssemblerRegister8 b = R8();
        switch (_random.Next(12))
        {
            case 0: if (byCl) { a.shl(d, cl); } else { a.shl(d, count); } break;
            case 1: if (byCl) { a.shr(d, cl); } else { a.shr(d, count); } break;
            case 2: if (byCl) { a.sar(d, cl); } else { a.sar(d, count); } break;
            case 3: if (byCl) { a.rol(d, cl); } else { a.rol(d, count); } break;
            case 4: if (byCl) { a.ror(d, cl); } else { a.ror(d, count); } break;
            case 5: if (byCl) { a.rcl(d, cl); } else { a.rcl(d, count); } break;
            case 6: if (byCl) { a.rcr(d, cl); } else { a.rcr(d, count); } break;
            case 7: if (byCl) { a.shld(d, R32(), cl); } else { a.shld(d, R32(), count); } break;
            case 8: if (byCl) { a.shrd(d, R32(), cl); } else { a.shrd(d, R32(), count); } break;
            case 9: if (byCl) { a.sar(b, cl); } else { a.sar(b, count); } break;
            case 10: if (byCl) { a.rol(b, cl); } else { a.rol(b, count); } break;
            default: if (byCl) { a.shr(__word_ptr[Address()], cl); } else { a.shl(__dword_ptr[Address()], count); } break;
        }
    }

    private void SetOrMove(Assembler a)
    {
        switch (_random.Next(10))
        {
            case 0: a.setb(R8()); break;
            case 1: a.setle(__byte_ptr[Address()]); break;
            case 2: a.seto(R8()); break;
            case 3: a.setp(R8()); break;
            case 4: a.cmovl(R32(), R32()); break;
            case 5: a.cmovbe(R32(), __dword_ptr[Address()]); break;
            case 6: a.cmovns(R16(), R16()); break;
            case 7: a.cmovo(R32(), R32()); break;
            case 8: a.setg(R8()); break;
            default: a.cmovne(R32(), R32()); break;
        }
    }

    private void Bits(Assembler a)
    {
        switch (_random.Next(8))
        {
            case 0: a.bt(R32(), R32()); break;
            case 1: a.bts(R32(), (byte)_random.Next(32)); break;
            case 2: a.btr(__dword_ptr[Address()], (byte)_random.Next(32)); break;
            case 3: a.btc(R16(), R16()); break;
            case 4: a.bsf(R32(), R32()); break;
            case 5: a.bsr(R32(), R32()); break;
            case 6: a.movzx(eax, cx); a.bts(__dword_ptr[esi], eax); break;
            default: a.bsr(R16(), R16()); break;
        }
    }

    private void Divide(Assembler a)
    {
        switch (_random.Next(3))
        {
            case 0:
                a.xor(edx, edx);
                a.or(ecx, 1);
                a.div(ecx);
                break;
            case 1:
                a.cdq();
                a.or(ebx, 0x100);
                a.and(ebx, 0x7FFFFFFF);
                a.idiv(ebx);
                break;
            default:
                a.movzx(eax, al);
                a.or(bl, 1);
                a.div(bl);
                break;
        }
    }

    private void Atomic(Assembler a)
    {
        AssemblerMemoryOperand d = __dword_ptr[esi + (_random.Next(-8, 8) * 4)];
        switch (_random.Next(10))
        {
            case 0: a.@lock.add(d, R32()); break;
            case 1: a.@lock.xadd(d, R32()); break;
            case 2: a.@lock.cmpxchg(d, R32()); break;
            case 3: a.xchg(d, R32()); break;
            case 4: a.@lock.inc(d); break;
            case 5: a.@lock.cmpxchg8b(__qword_ptr[esi]); break;
            case 6: a.@lock.or(__byte_ptr[Address()], R8()); break;
            case 7: a.@lock.bts(d, (byte)_random.Next(32)); break;
            case 8: a.@lock.sbb(d, R32()); break;
            default: a.cmpxchg(d, R32()); break;
        }
    }

    private void FlagInstruction(Assembler a)
    {
        switch (_random.Next(7))
        {
            case 0: a.clc(); break;
            case 1: a.stc(); break;
            case 2: a.cmc(); break;
            case 3: a.lahf(); break;
            case 4: a.sahf(); break;
            case 5: a.pushfd(); a.pop(R32()); break;
            default: a.cwde(); break;
        }
    }

    private void Strings(Assembler a)
    {
        a.push(esi);
        a.push(edi);
        switch (_random.Next(9))
        {
            case 0: a.movsd(); break;
            case 1: a.stosb(); break;
            case 2: a.lodsw(); break;
            case 3: a.scasb(); break;
            case 4: a.cmpsd(); break;
            case 5: a.mov(ecx, _random.Next(20)); a.rep.stosd(); break;
            case 6: a.mov(ecx, _random.Next(20)); a.rep.movsb(); break;
            case 7: a.mov(ecx, _random.Next(20)); a.repne.scasw(); break;
            default: a.mov(ecx, _random.Next(20)); a.repe.cmpsb(); break;
        }

        a.pop(edi);
        a.pop(esi);
    }
}
