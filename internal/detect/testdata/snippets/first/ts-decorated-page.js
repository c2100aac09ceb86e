var __awaiter = (this && this.__awaiter) || function (thisArg, _arguments, P, generator) {
    function adopt(value) { return value instanceof P ? value : new P(function (resolve) { resolve(value); }); }
    return new (P || (P = Promise))(function (resolve, reject) {
        function fulfilled(value) { try { step(generator.next(value)); } catch (e) { reject(e); } }
        function rejected(value) { try { step(generator["throw"](value)); } catch (e) { reject(e); } }
        function step(result) { result.done ? resolve(result.value) : adopt(result.value).then(fulfilled, rejected); }
        step((generator = generator.apply(thisArg, _arguments || [])).next());
    });
};
function track(_, name, d) { const f = d.value; d.value = function (...a) { console.log(name); return f.apply(this, a); }; }
class Profile {
    constructor() {
        this.data = { nick: '' };
    }
    login() {
        return __awaiter(this, void 0, void 0, function* () {
            const user = yield wx.getUserProfile({ desc: 'for your order' });
            this.setData({ nick: user.userInfo.nickName });
        });
    }
    copy() { var _a; wx.setClipboardData({ data: (_a = this.data.nick) !== null && _a !== void 0 ? _a : '' }); }
}
Page(new Profile());
