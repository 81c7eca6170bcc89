using Iced.Intel;
using static Dbt.Tests.Translator.Protection.MonitorLayout;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Protection;

/// <summary>The code of the cases (entered in the case's ring, with its registers; ends with INT 40h), and the routines that prepare them.</summary>
internal static class MonitorOps
{
    /// <summary>Writes all of them.</summary>
    public static void Write(Assembler a, Action<string, Action<Assembler>> add)
    {
        void Op(string name, Action<Assembler> write) => add(name, x =>
        {
            write(x);
            x.@int(Done);
        });
        void Raw(string name, params byte[] bytes) => Op(name, x => x.db(bytes));
        void Prepare(string name, Action<Assembler> write) => add(name, x =>
        {
            write(x);
            x.ret();
        });

        Segments(Op);
        Transfers(Op);
        System(Op, Raw);
        Preparations(Prepare);
        add("task", x =>
        {
            x.@int(Done);
            x.iretd();
            x.@int(Done);
        });
        MonitorPaging.WriteOps(Op, Prepare);
    }

    private static void Segments(Action<string, Action<Assembler>> op)
    {
        op("mov ds", a => a.mov(ds, ax));
        op("mov gs", a => a.mov(gs, ax));
        op("mov ss", a => a.mov(ss, ax));
        op("lar", a => a.lar(ebx, eax));
        op("lsl", a => a.lsl(ebx, eax));
        op("verr", a => a.verr(ax));
        op("verw", a => a.verw(ax));
        op("lldt", a => a.lldt(ax));
        op("ltr", a => a.ltr(ax));
        op("arpl", a => a.arpl(ax, bx));
        op("sldt", a => a.sldt(ax));
        op("str", a => a.str(ax));
    }

    private static void Transfers(Action<string, Action<Assembler>> op)
    {
        void Store(Assembler a)
        {
            a.mov(__dword_ptr[(int)FarPointer], ecx);
            a.mov(__dword_ptr[(int)FarPointer + 4], eax);
        }

        op("jmp far", a =>
        {
            Store(a);
            a.jmp(__fword_ptr[(int)FarPointer]);
        });
        op("call far", a =>
        {
            Store(a);
            a.call(__fword_ptr[(int)FarPointer]);
        });
        op("call far, parameters", a =>
        {
            Store(a);
            a.push(0x77777777);
            a.push(0x66666666);
            a.push(0x55555555);
            a.call(__fword_ptr[(int)FarPointer]);
        });
        op("retf", a =>
        {
            a.push(edx);
            a.push(TestStack - 64);
            a.push(eax);
            a.push(ecx);
            a.retf();
        });
        op("retf 8", a =>
        {
            a.push(edx);
            a.push(TestStack - 64);
            a.push(0x1111);
            a.push(0x2222);
            a.push(eax);
            a.push(ecx);
            a.retf(8);
        });
        op("iret", a =>
        {
            a.push(edx);
            a.push(TestStack - 64);
            a.push(ebx);
            a.push(eax);
            a.push(ecx);
            a.iretd();
        });
        op("iret nt", a =>
        {
            a.pushfd();
            a.or(__dword_ptr[esp], 0x4000);
            a.popfd();
            a.iretd();
        });
        op("int 41", a => a.@int(TestVector));
        op("int 4f", a => a.@int(0x4F));
        op("int 60", a => a.@int(0x60));
        op("int3", a => a.int3());
        op("into", a =>
        {
            a.mov(al, 0x7F);
            a.add(al, 1);
            a.into();
        });
        op("int1", a => a.int1());
        op("sysenter", a => a.sysenter());
        op("sysexit", a => a.sysexit());
        op("bad stack", a =>
        {
            a.mov(esp, ecx);
            a.push(eax);
        });
    }

    private static void System(Action<string, Action<Assembler>> op, Action<string, byte[]> raw)
    {
        op("popf", a =>
        {
            a.push(ebx);
            a.popfd();
            a.pushfd();
            a.pop(eax);
        });
        op("popfw", a =>
        {
            a.push(bx);
            a.popf();
            a.pushfd();
            a.pop(eax);
        });
        op("pushf", a =>
        {
            a.pushfd();
            a.pop(eax);
        });
        op("cli", a => a.cli());
        op("sti", a =>
        {
            a.sti();
            a.nop();
        });
        op("in al", a => a.@in(al, dx));
        op("in ax", a => a.@in(ax, dx));
        op("in eax", a => a.@in(eax, dx));
        op("out al", a => a.@out(dx, al));
        op("insb", a => a.insb());
        op("outsd", a => a.rep.outsd());
        op("hlt", a => a.hlt());
        op("clts", a => a.clts());
        op("lmsw", a => a.lmsw(bx));
        op("smsw", a => a.smsw(eax));
        op("invlpg", a => a.invlpg(__[edi]));
        op("wbinvd", a => a.wbinvd());
        op("invd", a => a.invd());
        op("lgdt", a => a.lgdt(__[(int)Variables + 0x40]));
        op("lidt", a => a.lidt(__[(int)Variables + 0x48]));
        op("read cr0", a => a.mov(eax, cr0));
        op("write cr0", a =>
        {
            a.mov(cr0, ebx);
            a.mov(eax, cr0);
        });
        op("read cr2", a =>
        {
            a.mov(cr2, ebx);
            a.mov(eax, cr2);
        });
        op("write cr4", a =>
        {
            a.mov(cr4, ebx);
            a.mov(eax, cr4);
        });
        op("write cr3", a =>
        {
            a.mov(cr3, ebx);
            a.mov(eax, cr3);
        });
        op("write dr0", a =>
        {
            a.mov(dr0, ebx);
            a.mov(eax, dr0);
        });
        op("write dr5", a =>
        {
            a.mov(dr5, ebx);
            a.mov(eax, dr7);
        });
        op("write dr6", a =>
        {
            a.mov(dr6, ebx);
            a.mov(eax, dr6);
        });
        op("write dr7", a =>
        {
            a.mov(dr7, ebx);
            a.mov(eax, dr7);
        });
        op("rdmsr", a => a.rdmsr());
        op("wrmsr", a =>
        {
            a.mov(eax, ebx);
            a.wrmsr();
            a.rdmsr();
        });
        op("rdtsc", a =>
        {
            a.rdtsc();
            a.xor(eax, eax);
            a.xor(edx, edx);
        });
        op("nops", a =>
        {
            a.nop();
            a.nop();
            a.nop();
        });
        op("shadowed nops", a =>
        {
            a.mov(ss, ax);
            a.nop();
            a.nop();
        });
        op("store", a =>
        {
            a.mov(__dword_ptr[edi], eax);
            a.nop();
        });
        op("load", a =>
        {
            a.mov(eax, __dword_ptr[edi]);
            a.nop();
        });
        op("copies", a =>
        {
            a.mov(esi, edi);
            a.rep.movsd();
            a.nop();
        });
        op("div", a => a.div(bl));
        op("bound", a => a.bound(eax, __qword_ptr[edi]));
        raw("fnop", [0xD9, 0xD0]);
        raw("wait", [0x9B]);
        raw("emms", [0x0F, 0x77]);
        raw("addps", [0x0F, 0x58, 0xC0]);
        raw("ud2", [0x0F, 0x0B]);
        raw("lock nop", [0xF0, 0x90]);
        raw("mov cs", [0x8E, 0xC8]);
        raw("mov cr1", [0x0F, 0x20, 0xC8]);

        // The same bytes in 16-bit code.
        raw("8086 pushf", [0x9C, 0x58]);
        raw("8086 popf", [0x53, 0x9D, 0x9C, 0x58]);
        raw("8086 iret", [0x53, 0x51, 0x52, 0xCF]);
        raw("8086 segments", [0x8E, 0xD8, 0x8E, 0xEB, 0x8C, 0xE9]);
        raw("8086 jmp", [0xEA, 0x30 + 0x10, 0x00, 0xFF, 0xFF]);
        raw("8086 call", [0x9A, 0x30 + 0x10, 0x00, 0xFF, 0xFF]);
        raw("8086 memory", [0xA3, 0x00, 0x02, 0x36, 0x8B, 0x1E, 0xF0, 0xFF]);
    }

    private static void Preparations(Action<string, Action<Assembler>> prepare)
    {
        prepare("nothing", a => { });
        prepare("gate", a => CopyGate(a, (int)Idt + (TestVector * 8)));
        prepare("gate of ebx", a =>
        {
            a.mov(ebx, __dword_ptr[esi + Ebx]);
            a.lea(ebx, __[(ebx * 8) + (int)Idt]);
            a.mov(eax, __dword_ptr[esi + DescriptorA]);
            a.mov(__dword_ptr[ebx], eax);
            a.mov(eax, __dword_ptr[esi + DescriptorA + 4]);
            a.mov(__dword_ptr[ebx + 4], eax);
        });
        prepare("breakpoint on op", a =>
        {
            a.mov(eax, __dword_ptr[esi + Op]);
            a.add(eax, __dword_ptr[esi + Ecx]);
            a.mov(dr0, eax);
            a.mov(eax, __dword_ptr[esi + Edx]);
            a.mov(dr7, eax);
        });
        prepare("breakpoint", a =>
        {
            a.mov(eax, __dword_ptr[esi + Ebx]);
            a.mov(dr1, eax);
            a.mov(eax, __dword_ptr[esi + Aux1]);
            a.mov(dr7, eax);
            a.mov(__dword_ptr[esi + Aux1], 0);
        });
        prepare("cr0 of ebx", a =>
        {
            a.mov(eax, cr0);
            a.or(eax, __dword_ptr[esi + Ebx]);
            a.mov(cr0, eax);
            a.mov(eax, __dword_ptr[esi + Ecx]);
            a.mov(cr4, eax);
        });
        prepare("entry registers", a =>
        {
            a.xor(edx, edx);
            foreach ((int index, Action value) in new (int, Action)[]
            {
                (0x174, () => a.mov(eax, __dword_ptr[esi + Ebx])), (0x175, () => a.mov(eax, HandlerStack)), (0x176, () => a.mov(eax, Landing)),
            })
            {
                a.mov(ecx, index);
                value();
                a.wrmsr();
            }
        });
        prepare("io map of ebx", a =>
        {
            a.mov(eax, __dword_ptr[esi + Ebx]);
            a.mov(__word_ptr[(int)MainTss + 0x66], ax);
        });
        prepare("task limit of ebx", a =>
        {
            a.mov(eax, __dword_ptr[esi + Ebx]);
            a.mov(__word_ptr[(int)Gdt + MainTask], ax);
            a.and(__byte_ptr[(int)Gdt + MainTask + 5], 0xFD);
            a.mov(eax, MainTask);
            a.ltr(ax);
        });
        prepare("inner stack of ebx", a =>
        {
            a.mov(eax, __dword_ptr[esi + Ebx]);
            a.mov(__word_ptr[(int)MainTss + 8], ax);
        });
        prepare("task word", a =>
        {
            a.mov(eax, __dword_ptr[esi + Ebx]);
            a.mov(edx, __dword_ptr[esi + Edx]);
            a.mov(__word_ptr[eax], dx);
        });
        prepare("general detect", a =>
        {
            a.mov(eax, 0x2400);
            a.mov(dr7, eax);
        });
        prepare("small task", a =>
        {
            a.mov(eax, __dword_ptr[esi + Ebx]);
            a.lldt(ax);
        });
    }

    private static void CopyGate(Assembler a, int place)
    {
        a.mov(eax, __dword_ptr[esi + DescriptorA]);
        a.mov(__dword_ptr[place], eax);
        a.mov(eax, __dword_ptr[esi + DescriptorA + 4]);
        a.mov(__dword_ptr[place + 4], eax);
    }
}
