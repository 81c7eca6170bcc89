using Dbt.Perf;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.SteadyState;

/// <summary>Loops that leave translated code again and again, each for another reason. ECX is the number of turns; INT 20h ends one.</summary>
internal static class ExitPrograms
{
    private const int Page = 0x300000;

    public static IReadOnlyDictionary<string, Action<Assembler>> All { get; } = new Dictionary<string, Action<Assembler>>
    {
        ["word across pages"] = a => Loop(a, () => a.add(eax, __dword_ptr[Page - 2])),
        ["walk by three bytes"] = a => Loop(
            a,
            () =>
            {
                a.add(eax, __dword_ptr[esi - 0x400]);
                a.add(esi, 3);
            }),
        ["structure across pages"] = a => Loop(
            a,
            () =>
            {
                a.mov(eax, __dword_ptr[esi - 8]);
                a.add(eax, __dword_ptr[esi]);
                a.add(eax, __dword_ptr[esi + 8]);
            }),
        ["frame across pages"] = a =>
        {
            a.mov(esp, Page + 8);
            Loop(
                a,
                () =>
                {
                    a.push(eax);
                    a.push(ecx);
                    a.push(edx);
                    a.push(ebx);
                    a.add(eax, __dword_ptr[esp + 12]);
                    a.add(esp, 16);
                });
        },
        ["data beside code"] = a => Loop(
            a,
            () =>
            {
                a.mov(eax, __dword_ptr[KernelRun.Entry + 0xF00]);
                a.inc(__dword_ptr[KernelRun.Entry + 0xF04]);
            }),
        ["lock, not aligned"] = a => Loop(a, () => a.@lock.inc(__dword_ptr[Page + 1])),
        ["pop into memory"] = a => Loop(
            a,
            () =>
            {
                a.push(ecx);
                a.pop(__dword_ptr[Page]);
            }),
        ["cpuid"] = a =>
        {
            a.mov(edi, ecx);
            Label next = a.CreateLabel();
            a.Label(ref next);
            a.xor(eax, eax);
            a.cpuid();
            a.dec(edi);
            a.jne(next);
            a.@int(0x20);
        },
        ["fnsave, frstor"] = a => Loop(
            a,
            () =>
            {
                a.fnsave(__[Page]);
                a.frstor(__[Page]);
            }),
        ["not a number, packed"] = a =>
        {
            a.pcmpeqd(xmm0, xmm0);
            Loop(a, () => a.addps(xmm1, xmm0));
        },
        ["rep movsd"] = a => Loop(a, () => Copy(a, backwards: false)),
        ["rep movsd, backwards"] = a => Loop(a, () => Copy(a, backwards: true)),
        ["returns to changing places"] = a =>
        {
            Label function = a.CreateLabel();
            Loop(
                a,
                () =>
                {
                    a.call(function);
                    a.add(eax, 1);
                    a.call(function);
                    a.add(eax, 2);
                    a.call(function);
                });
            a.Label(ref function);
            a.lea(eax, __[eax + (eax * 2)]);
            a.ret();
        },
    };

    private static void Copy(Assembler a, bool backwards)
    {
        a.push(ecx);
        a.mov(ecx, 16);
        a.mov(esi, Page + 0x800);
        a.mov(edi, Page + 0x1800);
        if (backwards)
        {
            a.std();
        }

        a.rep.movsd();
        a.cld();
        a.pop(ecx);
    }

    private static void Loop(Assembler a, Action body)
    {
        Label next = a.CreateLabel();
        a.mov(esi, Page);
        a.Label(ref next);
        body();
        a.dec(ecx);
        a.jne(next);
        a.@int(0x20);
    }
}
