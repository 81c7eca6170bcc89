using Dbt.Xen;
using Dbt.Xen.Grants;

namespace Dbt.Tests.Xen.Grants;

/// <content>Xen's advisories on grants of version 1 that the other parts don't have.</content>
public sealed unsafe partial class GrantTests
{
    [Fact]
    public void XSA_218_of_two_that_end_one_mapping_at_a_time_one_does()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Vcpu second = SecondProcessor();
        for (int i = 0; i < 500; i++)
        {
            var request = new GrantMap.MapRequest { HostAddress = Target, Flags = Host, Reference = 10, Domain = _a.Domain.Id };
            GrantMap.Map(_b.Vcpu, ref request);
            Assert.Equal(GrantStatus.Okay, request.Status);
            short[] ended = new short[2];
            Parallel.For(0, 2, worker => ended[worker] = (short)GrantMap.Unmap(worker == 0 ? _b.Vcpu : second, Target, 0, 0, request.Handle));
            Assert.Single(ended, static status => status == 0);
            Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        }

        Assert.Equal(Permit, Flags(10));
    }

    [Fact]
    public void XSA_236_host_and_device_mappings_of_one_grant_are_counted_apart_under_races()
    {
        Grant(10, Permit, _b, _a.Pages[5]);
        Vcpu second = SecondProcessor();
        Parallel.For(0, 2, worker =>
        {
            Vcpu vcpu = worker == 0 ? _b.Vcpu : second;
            ulong address = Target - (worker == 0 ? 0u : 0x1000u);
            for (int i = 0; i < 1000; i++)
            {
                var request = new GrantMap.MapRequest { HostAddress = address, Flags = worker == 0 ? Host | Device : Host, Reference = 10, Domain = _a.Domain.Id };
                GrantMap.Map(vcpu, ref request);
                Assert.Equal(GrantStatus.Okay, request.Status);
                Assert.Equal(GrantStatus.Okay, GrantMap.Unmap(vcpu, address, worker == 0 ? (ulong)_a.Pages[5] << 12 : 0, 0, request.Handle));
            }
        });
        Assert.Equal(Permit, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
        Assert.False(_b.Domain.Grants.MapsForeign(_a.Pages[5]));
    }

    [Fact]
    public void XSA_226_a_transitive_entry_of_version_1_grants_nothing()
    {
        // GTF_transitive is no type of version 1: neither a map nor a copy follows it, however often.
        Grant(10, 3, _b, _a.Pages[5]);
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(-1, Map(10, Host).Status);
            Assert.NotEqual(0, Copy(10, _a.Domain.Id, 0, _b.Pages[6], 0x7FF0, 0, 64, 1));
        }

        Assert.Equal(3u, Flags(10));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    [Fact]
    public void XSA_318_a_copy_that_is_refused_holds_nothing_and_the_next_one_works()
    {
        Grant(10, PermitReadOnly, _b, _a.Pages[5]);
        _a.Put(0x5000, 0x1234567);
        for (int i = 0; i < 100; i++)
        {
            Assert.NotEqual(0, Copy(_b.Pages[6], 0x7FF0, 0, 10, _a.Domain.Id, 0, 64, 2)); // to what may only be read
            Assert.NotEqual(0, Copy(10, _a.Domain.Id, 4090, _b.Pages[6], 0x7FF0, 0, 64, 1)); // across its page
        }

        Assert.Equal(PermitReadOnly, Flags(10));
        Assert.Equal(0, Copy(10, _a.Domain.Id, 0, _b.Pages[6], 0x7FF0, 0, 64, 1));
        Assert.Equal(0x1234567, _b.Get<int>(0x6000));
        Assert.Equal((2u, 1u), (_a.References(_a.Pages[5]), _a.TypeCount(_a.Pages[5])));
    }

    private Vcpu SecondProcessor()
    {
        var second = new Vcpu(_b.Domain, 1);
        _b.Domain.Vcpus.Add(second);
        Assert.Equal(0, _b.Memory.SwitchBase(second, _b.L3));
        return second;
    }
}
